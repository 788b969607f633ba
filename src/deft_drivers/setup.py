from setuptools import find_packages, setup

NAME = 'deft_drivers'

setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
    ],
    zip_safe=True,
    maintainer='DEFT maintainers',
    maintainer_email='maintainers@deft-robotics.org',
    description='Between DEFT and the drivers of hands and arms.',
    license='Apache-2.0',
    entry_points={'console_scripts': ['hand_node = deft_drivers.hand_node:main',
                                      'xarm_node = deft_drivers.xarm_node:main']},
)

from setuptools import find_packages, setup

NAME = 'deft_retarget'

setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(),
    package_data={NAME: ['data/*.yaml']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
    ],
    zip_safe=True,
    maintainer='DEFT maintainers',
    maintainer_email='maintainers@deft-robotics.org',
    description='From a MANO hand pose to the joints of a robot hand.',
    license='Apache-2.0',
    entry_points={'console_scripts': ['retarget_node = deft_retarget.node:main']},
)

from setuptools import find_packages, setup

NAME = 'deft_affordance'

setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(),
    package_data={NAME: ['weights/*']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
    ],
    zip_safe=False,
    maintainer='DEFT maintainers',
    maintainer_email='maintainers@deft-robotics.org',
    description='Where and how to grasp: affordance priors behind one predictor interface.',
    license='Apache-2.0',
    entry_points={'console_scripts': ['affordance_node = deft_affordance.node:main']},
)

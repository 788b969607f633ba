from setuptools import find_packages, setup

NAME = 'deft_sim'

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
    description="MuJoCo stand-in for the robot, its camera and its operator, on the robot's own topics.",
    license='Apache-2.0',
    entry_points={'console_scripts': ['sim_node = deft_sim.node:main']},
)

from setuptools import find_packages, setup

NAME = 'deft_bench'

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
    description='Studies of the method on the simulated robot, without ROS: the tables and curves of the paper.',
    license='Apache-2.0',
)

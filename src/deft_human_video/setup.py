from setuptools import find_packages, setup

NAME = 'deft_human_video'

setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(),
    package_data={NAME: ['data/*.npz']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
    ],
    zip_safe=True,
    maintainer='DEFT maintainers',
    maintainer_email='maintainers@deft-robotics.org',
    description='From videos of human hands to grasp labels and demonstrations.',
    license='Apache-2.0',
)

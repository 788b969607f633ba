from setuptools import find_packages, setup

NAME = 'deft_core'

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
    description='Shared value types, configuration loading, QoS profiles and message conversions of DEFT.',
    license='Apache-2.0',
)

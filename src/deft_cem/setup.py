from setuptools import find_packages, setup

NAME = 'deft_cem'

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
    description='Fine-tuning: searches for the residual, rewards, session journal, action server.',
    license='Apache-2.0',
    entry_points={'console_scripts': ['cem_server = deft_cem.node:main']},
)

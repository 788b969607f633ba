from setuptools import find_packages, setup

NAME = 'deft_policy'

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
    description='The residual policy: fitted to the elites of a session, asked for residuals, rolled out.',
    license='Apache-2.0',
    entry_points={'console_scripts': ['policy_node = deft_policy.node:main']},
)

from setuptools import find_packages, setup

NAME = 'deft_operator'

setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(),
    package_data={'deft_operator': ['web/pages/*', 'report/*.html']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml', 'plugin.xml']),
    ],
    zip_safe=False,
    maintainer='DEFT maintainers',
    maintainer_email='maintainers@deft-robotics.org',
    description='What the operator sees and says: panels, progress, rewards, session reports.',
    license='Apache-2.0',
)

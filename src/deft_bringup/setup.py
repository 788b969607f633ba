from pathlib import Path

from setuptools import find_packages, setup

NAME = 'deft_bringup'


def tree(folder):
    """(install folder, files) for every folder below `folder`."""
    files = [p for p in Path(folder).rglob('*') if p.is_file()]
    return [(f'share/{NAME}/{p.parent}', [str(p)]) for p in sorted(files)]


setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml']),
        *tree('config'),
        *tree('launch'),
    ],
    zip_safe=True,
    maintainer='DEFT maintainers',
    maintainer_email='maintainers@deft-robotics.org',
    description='Configuration, the composed graph and the deft command.',
    license='Apache-2.0',
    entry_points={'console_scripts': ['deft = deft_bringup.cli:app']},
)

"""Reading YAML that a person edits: strict, typed, and helpful when it is wrong."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from deft_core.errors import ConfigError


class Config(BaseModel):
    """Base of every configuration section: immutable, finite numbers, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


C = TypeVar("C", bound=Config)


def nearest(name: str, valid: Iterable[str]) -> str:
    """'did you mean x?' or the list of valid names, for error messages."""
    valid = sorted(valid)
    return _suggestion(name, valid) or _listed(valid)


def choices(name: str, valid: Iterable[str]) -> str:
    """'did you mean x?' where there is something like it, and always the list of valid names: where there are few."""
    valid = sorted(valid)
    return f"{_suggestion(name, valid)} {_listed(valid)}".lstrip()


def _suggestion(name: str, valid: list[str]) -> str:
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""


def _listed(valid: list[str]) -> str:
    return f"valid: {', '.join(valid) or '(none)'}"


def _fields_at(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Names of the fields valid at the place that a pydantic error points at."""
    current: Any = model
    for key in location[:-1]:
        if isinstance(key, int) or not (isinstance(current, type) and issubclass(current, BaseModel)):
            continue
        field = current.model_fields.get(str(key))
        if field is None:
            return []
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        current = models[0] if models else None
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def parse(model: type[C], data: Any, source: str) -> C:
    """Validate `data` (parsed YAML) as `model`.

    Raises:
        ConfigError: names the source, the key, what is wrong with it and, for an unknown key, the nearest valid one.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = []
        for e in error.errors():
            where = ".".join(map(str, e["loc"])) or "(top level)"
            if e["type"] == "extra_forbidden":
                valid = _fields_at(model, e["loc"])
                lines.append(f"{where}: unknown key; {nearest(str(e['loc'][-1]), valid)}")
            else:
                lines.append(f"{where}: {e['msg']} (given: {e['input']!r:.80})")
        raise ConfigError(f"{source}: " + "; ".join(lines)) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. With `extends: name` it is that file beside this one, changed by what stands here.

    Raises:
        ConfigError: unreadable, broken, not a mapping, or it extends itself.
    """
    return _read(path, ())


def _read(path: Path, extended_by: tuple[Path, ...]) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: needs keys and values, has {data!r:.40}")
    if "extends" not in data:
        return data
    name = str(data.pop("extends"))
    base = path.with_name(f"{name}.yaml")
    if not base.is_file():
        raise ConfigError(f"{path}: extends unknown '{name}': {nearest(name, [p.stem for p in path.parent.glob('*.yaml')])}")
    if base in (path, *extended_by):
        raise ConfigError(f"{path}: extends itself, by way of {base.name}")
    return _merged(_read(base, (*extended_by, path)), data)


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `change`; sections are merged, everything else is replaced."""
    both = {k: _merged(base[k], v) if isinstance(v, dict) and isinstance(base.get(k), dict) else v
            for k, v in change.items()}
    return base | both


def load(model: type[C], path: Path) -> C:
    """Read and validate a YAML file. Raises ConfigError (also for unreadable or broken YAML)."""
    return parse(model, read_yaml(path), str(path))


def default_config_dir() -> Path:
    """The configuration that deft_bringup installs."""
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory("deft_bringup")) / "config"


def find(config_dir: Path, kind: str, name: str) -> Path:
    """The file of a named task, hand or robot.

    Args:
        config_dir: folder that holds `tasks/`, `hands/`, `robots/`.
        kind: `tasks`, `hands` or `robots`.
        name: file name without `.yaml`.

    Raises:
        ConfigError: no such file; lists the valid names.
    """
    path = config_dir / kind / f"{name}.yaml"
    if not path.is_file():
        valid = [p.stem for p in (config_dir / kind).glob("*.yaml")]
        raise ConfigError(f"unknown {kind[:-1]} '{name}': {choices(name, valid)} ({kind} live in {config_dir / kind})")
    return path


def content_hash(*items: Any) -> str:
    """Short sha256 over configuration sections or plain values, for records."""
    h = hashlib.sha256()
    for item in items:
        h.update((item.model_dump_json() if isinstance(item, BaseModel) else repr(item)).encode() + b"\0")
    return h.hexdigest()[:16]

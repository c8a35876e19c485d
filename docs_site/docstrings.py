"""Docstrings are read in editors first: reStructuredText that Markdown does not know becomes plain text on the site."""

from __future__ import annotations

import re
from typing import Any, cast

from griffe import Attribute, Class, ExprName, Extension, Module, Object, Parameter, ParameterKind

_ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?(\w+)`")
_LITERAL = re.compile(r"^::$|(?<=:):$", re.MULTILINE)
_CAPTION = re.compile(r"^[A-Z][\w ,]+:\n\n(?=:param )", re.MULTILINE)
"""Between groups of parameters, which the site lists as one."""


class Markdown(Extension):
    """Makes Markdown of docstrings, and signatures of what decorators do to them."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Replace references, captions and the marks of literal blocks in an object's docstring."""
        if obj.docstring:
            text = _ROLE.sub(r"`\1`", obj.docstring.value)
            obj.docstring.value = _CAPTION.sub("", _LITERAL.sub("", text))

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Say which errors are retried."""
        retryable = cls.members.get("retryable")
        if cls.docstring and getattr(retryable, "value", None) == "True":
            cls.docstring.value += "\n\n*Retryable.*"

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Add the inherited arguments to the operators' signatures, and write defaults as values instead of names."""
        for name in pkg["operators"].exports:
            operator = cast("Class", pkg["operators"][name].final_target)
            parameters = operator.members["__init__"].parameters if "__init__" in operator.members else None
            if parameters is None:
                continue
            for base in operator.mro():
                for one in _accepted(pkg, base):
                    if one.name not in parameters:
                        parameters.add(one)
        for parameter in pkg["sync_group.s3_to_azure_sync"].parameters:
            parameter.default = _value(pkg["sync_group"], parameter.default)


def _accepted(pkg: Module, cls: Class) -> list[Parameter]:
    """Return what the constructor of an operator's base takes, with the options that its decorator adds."""
    init = cls.members.get("__init__")
    if init is None:
        return []
    found = [one for one in init.parameters if one.kind is ParameterKind.keyword_only]
    for decorator in init.decorators:
        group = str(decorator.value).removeprefix("accepts(").removesuffix(")")
        for field in pkg[cls.module.path.removeprefix(f"{pkg.path}.")][group].final_target.members.values():
            if isinstance(field, Attribute) and field.annotation is not None:
                default = _value(field.module, field.value)
                found.append(
                    Parameter(field.name, annotation=field.annotation, kind=ParameterKind.keyword_only, default=default)
                )
    return found


def _value(module: Module, default: Any) -> Any:
    """Return the value of a constant that a default names."""
    if isinstance(default, ExprName) and default.name in module.members:
        found = module[default.name]
        return (found.final_target if found.is_alias else found).value
    return default

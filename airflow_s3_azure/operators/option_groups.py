"""Groups of options: declared once as fields of a dataclass, accepted by operators as flat keyword arguments.

A group of options is a frozen dataclass: :class:`~airflow_s3_azure.endpoints.Endpoints`,
:class:`~airflow_s3_azure.engine.options.CopyOptions`, :class:`~airflow_s3_azure.operators.plan_arguments.PlanArguments`.
:func:`accepts` gives an operator the fields of a group as keyword arguments, :func:`read_options` makes the group of an
operator's attributes once their templates are rendered, and :func:`picked` takes a group's fields out of many arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar

from airflow_s3_azure.operators.arguments import ARGUMENTS, check_arguments, read_argument

Group = TypeVar("Group")
Init = TypeVar("Init", bound=Callable[..., None])


def option_names(*groups: type) -> tuple[str, ...]:
    """Return the names of the options of groups, in the order of their declaration."""
    return tuple(one.name for group in groups for one in fields(group) if not one.metadata.get("internal"))


def templated(*groups: type) -> tuple[str, ...]:
    """Return the names of those options of groups that Airflow renders."""
    return tuple(name for name in option_names(*groups) if ARGUMENTS[name.removeprefix("is_")].is_templated)


def picked(group: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of many arguments that are options of a group."""
    return {name: arguments[name] for name in option_names(group)}


def given(**arguments: Any) -> dict[str, Any]:
    """Return the arguments that are not None; for the others a DAG's ``default_args`` apply, which None would override."""
    return {name: value for name, value in arguments.items() if value is not None}


def read_options(group: type[Group], operator: object) -> Group:
    """Return a group of options, read from the attributes of an operator whose templates are rendered.

    :raises ConfigurationError: naming the first invalid argument
    """
    return group(**{name: read_argument(name, getattr(operator, name)) for name in option_names(group)})


def accepts(group: type) -> Callable[[Init], Init]:
    """Give an operator's ``__init__`` the options of a group as keyword arguments, kept as attributes.

    They become part of the signature, which Airflow's ``partial()`` and ``default_args`` inspect, and are checked when the
    DAG is parsed. A mapped operator is constructed when its task runs; there ``execute`` checks them, because Airflow retries
    an error in a constructor.
    """
    options = {
        one.name: Parameter(
            one.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if one.default is MISSING else one.default,
            annotation=one.type,
        )
        for one in fields(group)
        if one.name in option_names(group)
    }

    def decorate(init: Init) -> Init:
        own = signature(init)
        before = [one for one in own.parameters.values() if one.kind is not Parameter.VAR_KEYWORD]
        after = [one for one in own.parameters.values() if one.kind is Parameter.VAR_KEYWORD]

        @wraps(init)
        def with_options(self: Any, **kwargs: Any) -> None:
            given = {name: kwargs.pop(name, option.default) for name, option in options.items()}
            init(self, **kwargs)
            if not getattr(self, "_BaseOperator__from_mapped", False):
                check_arguments(given)
            for name, value in given.items():
                setattr(self, name, value)

        with_options.__signature__ = own.replace(parameters=[*before, *options.values(), *after])  # type: ignore[attr-defined]
        return with_options  # type: ignore[return-value]

    return decorate

"""CloudFormation templates as a test reads them: parsed, and resolved with parameters.

Only what the templates here and Prefect's use of the language is understood; all else is an error.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "deployments" / "cloudformation"
TARGET = FOLDER / "target-account.yaml"
SOURCE = FOLDER / "source-account.yaml"
GITHUB = FOLDER / "github-roles.yaml"

_SHORT = ("Condition", "Ref")
_NOTHING = object()
_PLACEHOLDER = re.compile(r"\$\{([^!}][^}]*)\}")


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def _construct(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in _SHORT else f"Fn::{suffix}"
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = str(value).split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


_Loader.add_multi_constructor("!", _construct)


def parsed(path: Path) -> dict[str, Any]:
    """Return a template as it is written, YAML or JSON, in the long form."""
    template: dict[str, Any] = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a safe loader
    return template


@dataclass
class Template:
    """A template with parameters, in an account and a Region.

    `known` are the ids of resources that AWS would make up: what `Ref` gives, or with `.Arn` and
    the like after it what `Fn::GetAtt` gives.
    """

    path: Path
    account: str
    region: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.body = parsed(self.path)
        declared = self.body["Parameters"]
        if missing := [
            name
            for name, each in declared.items()
            if "Default" not in each and name not in self.parameters
        ]:
            raise AssertionError(f"parameters are missing: {missing}")
        if unknown := set(self.parameters) - set(declared):
            raise AssertionError(f"no such parameters: {unknown}")
        self._values = {
            name: self._typed(each, self.parameters.get(name, each.get("Default")))
            for name, each in declared.items()
        }

    @staticmethod
    def _typed(declared: Mapping[str, Any], value: Any) -> Any:
        if declared["Type"] == "CommaDelimitedList" and isinstance(value, str):
            return [each.strip() for each in value.split(",")]
        return value if isinstance(value, list) else str(value)

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of each resource of a type that is made."""
        return {
            name: self.resolved(each.get("Properties", {}))
            for name, each in self.body["Resources"].items()
            if each["Type"] == kind and self._holds(each.get("Condition"))
        }

    def resource(self, name: str) -> dict[str, Any]:
        """Return the properties of one resource."""
        found: dict[str, Any] = self.resolved(self.body["Resources"][name]["Properties"])
        return found

    def outputs(self) -> dict[str, Any]:
        """Return what the stack tells."""
        return {
            name: self.resolved(each["Value"])
            for name, each in self.body.get("Outputs", {}).items()
            if self._holds(each.get("Condition"))
        }

    def policies(self, role: str) -> list[dict[str, Any]]:
        """Return a role's own policy documents, and those of policies that name it."""
        own = [each["PolicyDocument"] for each in self.resource(role).get("Policies", [])]
        name = self._ref(role)
        attached = [
            each["PolicyDocument"]
            for each in self.resources("AWS::IAM::Policy").values()
            if name in each.get("Roles", [])
        ]
        return own + attached

    def resolved(self, value: Any) -> Any:
        """Return a value without functions; what is left out is not in it."""
        answer = self._resolve(value)
        if answer is _NOTHING:
            raise AssertionError("AWS::NoValue in place of all")
        return answer

    def _holds(self, condition: str | None) -> bool:
        if condition is None:
            return True
        return bool(self._resolve(self.body["Conditions"][condition]))

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            found = [self._resolve(each) for each in value]
            return [each for each in found if each is not _NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name in {"Ref", "Condition"} and isinstance(argument, str):
                return self._ref(argument) if name == "Ref" else self._holds(argument)
            if name.startswith("Fn::"):
                return self._function(name, argument)
        pairs = ((name, self._resolve(each)) for name, each in value.items())
        return {name: each for name, each in pairs if each is not _NOTHING}

    def _function(self, name: str, argument: Any) -> Any:  # noqa: C901, PLR0911 - one for each
        match name:
            case "Fn::Sub":
                return self._sub(argument)
            case "Fn::GetAtt":
                return self._attribute(*argument)
            case "Fn::If":
                condition, yes, no = argument
                return self._resolve(yes if self._holds(condition) else no)
            case "Fn::Equals":
                first, second = self._resolve(argument)
                return first == second
            case "Fn::Not":
                return not self._resolve(argument)[0]
            case "Fn::And":
                return all(self._resolve(argument))
            case "Fn::Or":
                return any(self._resolve(argument))
            case "Fn::Join":
                glue, parts = argument
                return glue.join(str(each) for each in self._resolve(parts))
            case "Fn::Split":
                glue, text = argument
                return self._resolve(text).split(glue)
            case "Fn::Select":
                number, parts = argument
                return self._resolve(parts)[int(number)]
            case _:
                raise AssertionError(f"{name}: not understood")

    def _sub(self, argument: Any) -> str:
        text, more = argument if isinstance(argument, list) else (argument, {})
        local = {name: self._resolve(each) for name, each in more.items()}

        def fill(found: re.Match[str]) -> str:
            name = found[1]
            if name in local:
                return str(local[name])
            if "." in name:
                return str(self._attribute(*name.split(".", 1)))
            return str(self._ref(name))

        return _PLACEHOLDER.sub(fill, text)

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::AccountId": self.account,
            "AWS::NoValue": _NOTHING,
            "AWS::Partition": "aws",
            "AWS::Region": self.region,
            "AWS::URLSuffix": "amazonaws.com",
        }
        if name in pseudo:
            return pseudo[name]
        if name in self._values:
            return self._values[name]
        if name in self.known:
            return self.known[name]
        kind = self.body["Resources"][name]["Type"]
        arn = {"AWS::IAM::ManagedPolicy", "AWS::SNS::Topic"}
        return self._attribute(name, "Arn") if kind in arn else self._named(name, kind)

    def _named(self, name: str, kind: str) -> str:
        field_ = {
            "AWS::DynamoDB::Table": "TableName",
            "AWS::ECR::Repository": "RepositoryName",
            "AWS::ECS::Cluster": "ClusterName",
            "AWS::Events::Rule": "Name",
            "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
            "AWS::IAM::Role": "RoleName",
            "AWS::Logs::LogGroup": "LogGroupName",
            "AWS::SNS::Topic": "TopicName",
            "AWS::SQS::Queue": "QueueName",
        }.get(kind)
        if field_ is None:
            return f"<{name}>"
        return str(self._resolve(self.body["Resources"][name]["Properties"][field_]))

    def _attribute(self, name: str, attribute: str) -> Any:
        if f"{name}.{attribute}" in self.known:
            return self.known[f"{name}.{attribute}"]
        kind = self.body["Resources"][name]["Type"]
        id_, here = self._named(name, kind), f"{self.region}:{self.account}"
        if attribute != "Arn":
            return id_ if attribute in {"TopicName", "QueueName"} else f"<{name}.{attribute}>"
        arns = {
            "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{here}:table/{id_}",
            "AWS::ECR::Repository": f"arn:aws:ecr:{here}:repository/{id_}",
            "AWS::ECS::Cluster": f"arn:aws:ecs:{here}:cluster/{id_}",
            "AWS::Events::Rule": f"arn:aws:events:{here}:rule/{id_}",
            "AWS::IAM::ManagedPolicy": f"arn:aws:iam::{self.account}:policy/{id_}",
            "AWS::IAM::Role": f"arn:aws:iam::{self.account}:role/{id_}",
            "AWS::KMS::Key": f"arn:aws:kms:{here}:key/{'0' * 8}-0000-0000-0000-{'0' * 12}",
            "AWS::Logs::LogGroup": f"arn:aws:logs:{here}:log-group:{id_}:*",
            "AWS::SNS::Topic": f"arn:aws:sns:{here}:{id_}",
            "AWS::SQS::Queue": f"arn:aws:sqs:{here}:{id_}",
        }
        return arns[kind]

"""Lambda, containers, APIs, identity pools, events, state machines."""

import io
import json
import zipfile

from .base import ACCOUNT, tags


def code():
    """The smallest deployable function, the same bytes in every run."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("main.py", (2024, 1, 1, 0, 0, 0)), "def handler(event, context):\n    return {}\n")
    return out.getvalue()


def function(account, region, name, role, runtime="python3.12", environment=None, subnets=(), groups=(), public=False, url=None,
             traced=False, dead_letters=None, timeout=15, key=None, **labels):
    """A function; `url` is the auth type of a function URL. Returns its ARN."""
    client = account.client("lambda", region)
    extra = {}
    if environment:
        extra["Environment"] = {"Variables": environment}
    if subnets:
        extra["VpcConfig"] = {"SubnetIds": list(subnets), "SecurityGroupIds": list(groups)}
    if traced:
        extra["TracingConfig"] = {"Mode": "Active"}
    if dead_letters:
        extra["DeadLetterConfig"] = {"TargetArn": dead_letters}
    if key:
        extra["KMSKeyArn"] = key
    made = client.create_function(
        FunctionName=name, Runtime=runtime, Role=role, Handler="main.handler", Code={"ZipFile": code()}, Timeout=timeout,
        MemorySize=256, Tags={"Name": name} | labels, **extra,
    )["FunctionArn"]
    if public:
        client.add_permission(FunctionName=name, StatementId="anyone", Action="lambda:InvokeFunction", Principal="*")
    if url:
        client.create_function_url_config(FunctionName=name, AuthType=url)
    return made


def invoked_by(account, region, name, service, source):
    account.client("lambda", region).add_permission(
        FunctionName=name, StatementId=service, Action="lambda:InvokeFunction", Principal=f"{service}.amazonaws.com",
        SourceArn=source, SourceAccount=ACCOUNT,
    )


def repository(account, region, name, scan=True, immutable=True, key=None, policy=None, lifecycle=True):
    ecr = account.client("ecr", region)
    encryption = {"encryptionType": "KMS", "kmsKey": key} if key else {"encryptionType": "AES256"}
    ecr.create_repository(
        repositoryName=name, imageScanningConfiguration={"scanOnPush": scan},
        imageTagMutability="IMMUTABLE" if immutable else "MUTABLE", encryptionConfiguration=encryption, tags=tags(name),
    )
    if policy:
        ecr.set_repository_policy(repositoryName=name, policyText=policy)
    if lifecycle:
        rule = {"rulePriority": 1, "description": "keep the last 30", "action": {"type": "expire"},
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 30}}
        ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps({"rules": [rule]}))


def container_cluster(account, region, name, insights=True):
    setting = {"name": "containerInsights", "value": "enabled" if insights else "disabled"}
    return account.client("ecs", region).create_cluster(clusterName=name, settings=[setting], tags=tags(name, upper=False))["cluster"]["clusterArn"]


def task(account, region, family, role, image, privileged=False, read_only=True, user="1000", environment=None, logs=True, network="awsvpc"):
    container = {
        "name": family, "image": image, "essential": True, "memory": 512, "cpu": 256, "privileged": privileged,
        "readonlyRootFilesystem": read_only,
        "environment": [{"name": name, "value": value} for name, value in (environment or {}).items()],
    }
    if user:
        container["user"] = user
    if logs:
        container["logConfiguration"] = {"logDriver": "awslogs", "options": {"awslogs-group": f"/ecs/{family}", "awslogs-region": region, "awslogs-stream-prefix": family}}
    made = account.client("ecs", region).register_task_definition(
        family=family, networkMode=network, taskRoleArn=role, executionRoleArn=role, requiresCompatibilities=["FARGATE"] if network == "awsvpc" else ["EC2"],
        cpu="256", memory="512", containerDefinitions=[container],
    )
    return made["taskDefinition"]["taskDefinitionArn"]


def service(account, region, cluster, name, definition, subnets, groups, public=False):
    network = {"awsvpcConfiguration": {"subnets": list(subnets), "securityGroups": list(groups), "assignPublicIp": "ENABLED" if public else "DISABLED"}}
    account.client("ecs", region).create_service(
        cluster=cluster, serviceName=name, taskDefinition=definition, desiredCount=2, launchType="FARGATE", networkConfiguration=network,
    )


def kubernetes(account, region, name, role, subnets, groups, public=True, private=False, cidrs=("0.0.0.0/0",), version="1.31", key=None, logs=()):
    extra = {"encryptionConfig": [{"resources": ["secrets"], "provider": {"keyArn": key}}]} if key else {}
    if logs:
        extra["logging"] = {"clusterLogging": [{"types": list(logs), "enabled": True}]}
    account.client("eks", region).create_cluster(
        name=name, version=version, roleArn=role,
        resourcesVpcConfig={"subnetIds": list(subnets), "securityGroupIds": list(groups), "endpointPublicAccess": public,
                            "endpointPrivateAccess": private, "publicAccessCidrs": list(cidrs)},
        tags={"Name": name}, **extra,
    )


def rest_api(account, region, name, authorization="NONE", kind="REGIONAL", logs=None, traced=False, stage="live"):
    """A REST API with one method and one stage; `logs` is the access log's ARN."""
    api = account.client("apigateway", region)
    made = api.create_rest_api(name=name, endpointConfiguration={"types": [kind]}, tags={"Name": name})["id"]
    root = api.get_resources(restApiId=made)["items"][0]["id"]
    api.put_method(restApiId=made, resourceId=root, httpMethod="GET", authorizationType=authorization)
    api.put_integration(restApiId=made, resourceId=root, httpMethod="GET", type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
    deployment = api.create_deployment(restApiId=made)["id"]
    api.create_stage(restApiId=made, stageName=stage, deploymentId=deployment, tracingEnabled=traced)
    if logs:
        operations = [
            {"op": "replace", "path": "/accessLogSettings/destinationArn", "value": logs},
            {"op": "replace", "path": "/accessLogSettings/format", "value": "$context.requestId"},
            {"op": "replace", "path": "/*/*/logging/loglevel", "value": "INFO"},
        ]
        api.update_stage(restApiId=made, stageName=stage, patchOperations=operations)
    return made


def http_api(account, region, name, authorization="NONE", logs=None):
    api = account.client("apigatewayv2", region)
    made = api.create_api(Name=name, ProtocolType="HTTP", Tags={"Name": name})["ApiId"]
    api.create_route(ApiId=made, RouteKey="GET /status", AuthorizationType=authorization)
    extra = {"AccessLogSettings": {"DestinationArn": logs, "Format": "$context.requestId"}} if logs else {}
    api.create_stage(ApiId=made, StageName="$default", AutoDeploy=True, **extra)
    return made


def user_pool(account, region, name, mfa="OFF", length=8, symbols=False, protect=False):
    return account.client("cognito-idp", region).create_user_pool(
        PoolName=name, MfaConfiguration=mfa, DeletionProtection="ACTIVE" if protect else "INACTIVE",
        Policies={"PasswordPolicy": {"MinimumLength": length, "RequireUppercase": True, "RequireLowercase": True,
                                     "RequireNumbers": True, "RequireSymbols": symbols, "TemporaryPasswordValidityDays": 7}},
        AdminCreateUserConfig={"AllowAdminCreateUserOnly": protect}, UserPoolTags={"Name": name},
    )["UserPool"]["Id"]


def state_machine(account, region, name, role, log_group=None, traced=False):
    extra = {}
    if log_group:
        extra["loggingConfiguration"] = {"level": "ALL", "includeExecutionData": False, "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": log_group}}]}
    if traced:
        extra["tracingConfiguration"] = {"enabled": True}
    definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": True}}})
    account.client("stepfunctions", region).create_state_machine(
        name=name, definition=definition, roleArn=role, tags=tags(name, upper=False), **extra
    )


def scheduled_rule(account, region, name, schedule, target):
    events = account.client("events", region)
    events.put_rule(Name=name, ScheduleExpression=schedule, State="ENABLED")
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": target}])

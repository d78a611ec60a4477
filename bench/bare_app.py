"""What a POST and a GET cost at least: the same outputs and reads, and nothing else."""

import os
import uuid

import azure.functions as func
from azure.data.tables import TableServiceClient

STORAGE = "AzureWebJobsStorage"

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
tables = TableServiceClient.from_connection_string(os.environ[STORAGE])
due, rows, owners = (tables.create_table_if_not_exists(name) for name in ("baredue", "barerows", "bareowners"))
RESOURCE = {"PartitionKey": "resource", "RowKey": "resource"}
rows.upsert_entity(RESOURCE | {"request": "{}"})


@app.route(route="bare", methods=["POST"])
@app.queue_output(arg_name="message", queue_name="bare", connection=STORAGE)
def submit(req: func.HttpRequest, message: func.Out[str]) -> func.HttpResponse:
    """Read the resource and the owner's count; write the count, a due entry and a row; send one message."""
    key = str(uuid.uuid4())
    rows.get_entity(RESOURCE["PartitionKey"], RESOURCE["RowKey"])
    list(owners.query_entities("PartitionKey eq @owner", parameters={"owner": key}))
    owners.create_entity({"PartitionKey": key, "RowKey": key})
    due.create_entity({"PartitionKey": "due", "RowKey": key})
    rows.create_entity({"PartitionKey": key, "RowKey": key, "request": req.get_body().decode()})
    message.set(key)
    return func.HttpResponse(f'{{"registrationId": "{key}"}}', status_code=202, mimetype="application/json")


@app.route(route="bare/{key}", methods=["GET"])
def show(req: func.HttpRequest) -> func.HttpResponse:
    """Read one row."""
    key = req.route_params["key"]
    return func.HttpResponse(rows.get_entity(key, key)["request"], mimetype="application/json")

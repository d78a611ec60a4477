"""The least app that there is: one function, which imports azure.functions only."""

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.route(route="registrations", methods=["POST"])
def submit(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 -- a trigger's binding
    """Accept anything."""
    return func.HttpResponse("{}", status_code=202, mimetype="application/json")

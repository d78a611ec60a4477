"""Has Entra trust what a service client shows in place of a secret: a certificate, or tokens of another issuer."""

from provisioning.domain.credentials import trusted_tokens
from provisioning.domain.errors import NeedsOperator
from provisioning.domain.intake import CertificateCredential, ServiceClientRequest
from provisioning.domain.manifest import key_credential
from provisioning.flow.run import Run


def ensure_certificate(run: Run) -> None:
    """Afterwards the application has the client's certificate.

    Safe to repeat because one that is there is not added again. It was in the first call already: the application is
    asked only where the answer to that was lost, or did not show it.
    """
    request, registration = run.registration.request, run.registration
    assert isinstance(request, ServiceClientRequest)
    assert isinstance(request.credential, CertificateCredential)
    assert registration.application_object_id is not None
    if not run.certified:
        key = key_credential(registration, request.credential)
        run.services.directory.add_certificate(registration.application_object_id, key)
        run.certified = True


def ensure_federated_credential(run: Run) -> None:
    """Afterwards Entra takes the tokens of the issuer and the subjects that the client named, in place of a secret.

    Safe to repeat because names follow from the registration, and one that exists is compared, not changed.
    """
    registration = run.registration
    assert registration.application_object_id is not None
    for wanted in trusted_tokens(registration, run.services.tenant):
        if run.services.directory.trust_token(registration.application_object_id, wanted) != wanted:
            raise NeedsOperator(
                "federated-credential-differs",
                "The application has a federated credential of our name, issuer or subject that this service did not "
                "make.",
                remedy="Find out who made or changed it, delete it in Entra, and retry.",
            )

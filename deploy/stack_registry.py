"""The schema registry: its archive, its settings, its command line, and whether it answers.

Apicurio Registry serves the REST API of Confluent's Schema Registry under `REGISTRY_API`. 3.0.9 is the newest release that
runs on Java 17 and is on Maven Central as a whole: the next one there, 3.3.2, needs Java 21.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
from pathlib import Path

from stack_jars import Bundle, run_maven
from stack_plan import REGISTRY_API, Plan, StackError

VERSION = "3.0.9"
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
# Maven compares what it fetches with the checksum beside it, which whoever replaces the archive replaces too.
SHA256 = "2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43"
ANSWER_SECONDS = 5.0


def bundle() -> Bundle:
    return Bundle(what="the schema registry", size="about 110 MB", stamp="archive.sha256", wanted=SHA256, fill=unpack)


def unpack(maven: str, folder: Path) -> None:
    """Fetch the archive into the folder, and unpack it there if it is the one that was chosen."""
    command = [maven, "--strict-checksums", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"]
    run_maven(command, what="the schema registry", folder=folder, made="*.tar.gz")
    archive = next(folder.glob("*.tar.gz"))
    with archive.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != SHA256:
        raise StackError(f"{ARTIFACT} has the SHA-256 {found}, not {SHA256}: it is not the one this stack was made with.")
    shutil.unpack_archive(archive, folder, "gztar")
    archive.unlink()


def settings(plan: Plan, stack_id: str) -> dict[str, str]:
    """Java's system properties. Paths are relative to the registry's own folder, which is its working directory."""
    return {
        "quarkus.http.host": "127.0.0.1",
        "quarkus.http.port": str(plan.registry_port),
        "quarkus.http.access-log.enabled": "false",
        # In a file, because the log keeps the ids that are given here for as long as it keeps records; and written at
        # once, because a killed registry must not give an id a second time.
        "apicurio.datasource.url": "jdbc:h2:file:./data/registry;WRITE_DELAY=0",
        "apicurio.datasource.jdbc.initial-size": "1",
        "apicurio.datasource.jdbc.min-size": "1",
        "apicurio.datasource.jdbc.max-size": "10",
        "apicurio.app.name": "eventfold's local stack",
        "apicurio.app.description": stack_id,
        "apicurio.import.work-dir": "tmp",
        "apicurio.storage.snapshot.location": "tmp",
        "java.io.tmpdir": "tmp",
    }


def prepare(folder: Path) -> None:
    """Make the registry's folder, without what a killed one left in its temporary files."""
    shutil.rmtree(folder / "tmp", ignore_errors=True)
    (folder / "tmp").mkdir(parents=True)


def command(java: str, libs: Path, plan: Plan, stack_id: str) -> list[str]:
    # It is small and seldom asked, and starts sooner when Java does not prepare for a long and busy run.
    machine = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")
    properties = [f"-D{key}={value}" for key, value in settings(plan, stack_id).items()]
    return [java, *machine, *properties, "-jar", str(libs / f"apicurio-registry-app-{VERSION}-runner.jar")]


def answers(plan: Plan, stack_id: str) -> bool:
    """Whether the registry at the plan's address is this stack's own, and can tell its subjects."""
    # By hand, because urllib would ask a proxy of the environment.
    connection = http.client.HTTPConnection("127.0.0.1", plan.registry_port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/apis/registry/v3/system/info")
        response = connection.getresponse()
        if json.loads(response.read()).get("description") != stack_id:
            return False
        connection.request("GET", f"{REGISTRY_API}/subjects")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return False
    finally:
        connection.close()

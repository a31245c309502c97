"""Takes the pictures of this folder: a whole run in the Prefect UI, and the form that starts one.

`make screenshot` installs Playwright for it; Chromium is the system's (or CHROMIUM=path).
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from playwright.sync_api import Page, sync_playwright

from demo.facts import deployment_values, request, safe_data, settings
from demo.stack import REPOSITORY, PrefectStack, prefect_command
from sandbox import Sandbox

HERE = Path(__file__).parent
BROWSER = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SETTLE_MILLISECONDS = 5000


def main() -> int:
    """Run a refresh and take the pictures; return 0."""
    with PrefectStack({}) as prefect, Sandbox(speed=120) as aws:
        prefect.environment |= settings(aws) | deployment_values(aws)
        prefect.start_server()
        prefect.wait_until_ready()
        prefect.start_worker()
        prefect.deploy()
        wish = json.dumps(request(aws, **safe_data()))
        subprocess.run(  # noqa: S603
            prefect_command(
                *("deployment", "run", "restore-aurora-cluster/refresh", "--watch"),
                *("--param", f"request={wish}"),
            ),
            env=prefect.environment,
            cwd=REPOSITORY,
            check=True,
        )
        api = f"{prefect.url}/api"
        [run] = httpx.post(f"{api}/flow_runs/filter", json={"limit": 1}).json()
        deployment = httpx.get(f"{api}/deployments/name/restore-aurora-cluster/refresh").json()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=BROWSER, args=QUIET)
            page = browser.new_page(viewport={"width": 1200, "height": 860})
            page.goto(f"{prefect.url}/runs/flow-run/{run['id']}")
            shoot(page, "run")
            page.get_by_text("Artifacts", exact=True).first.click()
            shoot(page, "artifacts")
            page.goto(f"{prefect.url}/artifacts/key/restore-summary")
            shoot(page, "summary")
            page.goto(f"{prefect.url}/deployments/deployment/{deployment['id']}/run")
            shoot(page, "form")
            browser.close()
    through_the_ecs_worker()
    return 0


def through_the_ecs_worker() -> None:
    """Take the picture of a run that the real ECS worker has started in the sandbox's ECS."""
    sys.path.insert(0, str(REPOSITORY / "tests" / "flow"))
    from ecs_site import Site, open_for_runs, wait_until  # noqa: PLC0415
    from image_steps import build  # noqa: PLC0415

    with (
        TemporaryDirectory() as folder,
        Sandbox(speed=120, lasting_sessions=True) as aws,
        PrefectStack({}) as prefect,
    ):
        prefect.start_server()
        prefect.wait_until_ready()
        site = Site(aws, prefect)
        home = Path(folder) / "worker"
        home.mkdir()
        image = build(Path(folder) / "image")
        with open_for_runs(site, image, home):
            run = site.start("picture")
            wait_until(lambda: site.state(run) == "Completed", "the run", 300)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=BROWSER, args=QUIET)
                page = browser.new_page(viewport={"width": 1200, "height": 860})
                page.goto(f"{prefect.url}/runs/flow-run/{run}")
                shoot(page, "worker")
                browser.close()


def shoot(page: Page, name: str) -> None:
    """Take a picture once the page has settled."""
    page.wait_for_timeout(SETTLE_MILLISECONDS)
    page.screenshot(path=HERE / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())

"""The explorer in a real browser, against a real server."""

import json
import os
import re
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from tests.dev_server import DevServer


def type_text(page: Page, editor: str, text: str) -> None:
    """Replace an editor's text by typing: select everything, then type over the brackets that the editor closes."""
    page.locator(f".graphiql-{editor} .monaco-editor").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def paste_text(page: Page, editor: str, text: str) -> None:
    """The same through the clipboard, which adds no brackets or completions."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.locator(f".graphiql-{editor} .monaco-editor").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.press("Control+V")


def is_user_operation(request: Request) -> bool:
    """Whether a request has an operation other than the page's introspection."""
    return request.method == "POST" and "IntrospectionQuery" not in (request.post_data or "")


def run_query(page: Page) -> dict[str, Any]:
    """Press the run button; returns the response of the server."""
    with page.expect_response(lambda response: is_user_operation(response.request)) as answer:
        page.get_by_role("button", name="Execute query").click()
    body: dict[str, Any] = answer.value.json()
    return body


def response_text(page: Page) -> str:
    """The text that the response editor shows; Monaco draws each space as a non-breaking one."""
    return page.locator(".graphiql-response .view-lines").inner_text().replace("\u00a0", " ")


def open_example(page: Page, title: str, operation: str) -> None:
    page.get_by_role("button", name=re.compile(f"^{re.escape(title)}")).click()
    expect(page.get_by_role("tab", name=operation)).to_have_attribute("aria-selected", "true")


def wait_until_shown(page: Page, text: str, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while text not in response_text(page):
        assert time.monotonic() < end, f"{text!r} is not in {response_text(page)!r}"
        page.wait_for_timeout(50)


def test_a_typed_query_is_answered_without_a_request_to_anywhere_else(page: Page, server: DevServer) -> None:
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))  # noqa: PLW0108  # Playwright marks the function
    page.reload()
    page.locator(".graphiql-query-editor .view-line").first.wait_for()

    type_text(page, "query-editor", "query Typed { serverStatus { ok } }")
    expect(page.get_by_role("tab", name="Typed")).to_have_attribute("aria-selected", "true")
    answer = run_query(page)

    assert answer["data"] == {"serverStatus": {"ok": True}}
    wait_until_shown(page, '"ok": true')
    assert {urlsplit(request.url).netloc for request in requests} == {urlsplit(server.explorer_url).netloc}
    assert requests[-1].url == server.graphql_url


def test_the_first_tab_names_the_person_of_the_demo_token(page: Page, server: DevServer) -> None:
    with page.expect_request(is_user_operation) as request:
        answer = run_query(page)

    assert request.value.headers["authorization"] == f"Bearer {server.tokens['service_manager']}"
    viewer = answer["data"]["viewer"]
    assert viewer["isPlatformAdmin"] is False
    assert [place["service"]["id"] for place in viewer["user"]["serviceMemberships"]["nodes"]] == [server.service_id]


def test_the_dashboard_query_returns_the_demo_service(page: Page, server: DevServer) -> None:
    open_example(page, "Service dashboard", "ServiceDashboard")

    answer = run_query(page)

    assert "errors" not in answer
    service = answer["data"]["service"]
    assert service["templates"]["totalCount"] >= len(server.template_ids)
    wait_until_shown(page, f'"name": "{service["name"]}"')
    if path := os.environ.get("SCREENSHOT"):
        page.wait_for_timeout(1000)  # until the response is highlighted
        page.screenshot(path=path)


def test_a_newcomer_creates_a_key_a_template_and_a_job_and_watches_it_finish(page: Page) -> None:
    open_example(page, "Create an API key", "CreateApiKey")
    created_key = run_query(page)["data"]["createApiKey"]
    assert created_key["userErrors"] == []
    assert created_key["key"].startswith("explorer-")

    open_example(page, "Create a template", "CreateTemplate")
    created_template = run_query(page)["data"]["createTemplate"]
    assert created_template["userErrors"] == []
    assert [placeholder["name"] for placeholder in created_template["template"]["placeholders"]] == ["name", "day"]

    open_example(page, "Create a job from a CSV file", "CreateJob")
    created_job = run_query(page)["data"]["createJob"]
    assert created_job["userErrors"] == []
    assert created_job["job"]["recipientCount"] == 3

    open_example(page, "Watch the latest job", "LatestJob")
    page.get_by_role("button", name="Repeat every second").click()
    wait_until_shown(page, '"isFinal": true', seconds=20)
    page.get_by_role("button", name="Stop repeating").click()
    page.wait_for_timeout(1000)

    [job] = run_query(page)["data"]["service"]["jobs"]["nodes"]
    assert job["id"] == created_job["job"]["id"]
    assert job["status"] == "FINISHED_ALL_NOTIFICATIONS_CREATED"
    assert [(row["recipient"], row["statusText"]) for row in job["notifications"]["nodes"]] == [
        ("07700900101", "Delivered"),
        ("07700900102", "Delivered"),
        ("07700900103", "Delivered"),
    ]
    wait_until_shown(page, '"statusText": "Delivered"')


def test_messages_are_found_by_what_became_of_them(page: Page) -> None:
    open_example(page, "Find messages", "FindMessages")

    connection = run_query(page)["data"]["service"]["notifications"]

    assert connection["totalCount"] >= len(connection["nodes"]) > 0
    assert {row["status"] for row in connection["nodes"]} <= {
        "TECHNICAL_FAILURE",
        "TEMPORARY_FAILURE",
        "PERMANENT_FAILURE",
        "VALIDATION_FAILED",
        "VIRUS_SCAN_FAILED",
    }


def test_the_wrong_password_and_a_made_up_challenge_are_refused_in_a_sentence(page: Page) -> None:
    for title, operation, field in [
        ("Sign in", "SignIn", "signIn"),
        ("Complete signing in", "CompleteSignIn", "completeSignIn"),
    ]:
        open_example(page, title, operation)
        answer = run_query(page)
        assert "errors" not in answer
        assert answer["data"][field]["userErrors"] != []


def test_the_browser_keeps_no_token_and_no_password(page: Page, server: DevServer) -> None:
    run_query(page)
    open_example(page, "Sign in", "SignIn")
    paste_text(page, "editor-tool", json.dumps({"input": {"emailAddress": "a@example.gov.uk", "password": "hunter2"}}))
    run_query(page)
    page.wait_for_timeout(1000)

    stored = page.evaluate("JSON.stringify(localStorage)")

    assert "SignIn" in stored
    assert server.tokens["service_manager"] not in stored
    assert "hunter2" not in stored


def test_a_reload_keeps_the_tabs_and_their_headers(page: Page, server: DevServer) -> None:
    open_example(page, "Find messages", "FindMessages")
    page.wait_for_timeout(1000)
    page.reload()
    page.locator(".graphiql-query-editor .view-line").first.wait_for()
    expect(page.get_by_role("tab", name="FindMessages")).to_have_attribute("aria-selected", "true")

    with page.expect_request(is_user_operation) as request:
        page.get_by_role("button", name="Execute query").click()

    assert request.value.headers["authorization"] == f"Bearer {server.tokens['service_manager']}"


def test_a_mutation_cannot_be_repeated(page: Page) -> None:
    open_example(page, "Create an API key", "CreateApiKey")

    expect(page.get_by_role("button", name="Repeat every second (queries only)")).to_be_disabled()


def test_the_page_has_a_name_a_language_and_one_heading(page: Page) -> None:
    assert page.title() == "Notify GraphQL"
    assert page.locator("html").get_attribute("lang") == "en-GB"
    assert page.get_by_role("heading", level=1).all_inner_texts() == ["Notify GraphQL"]


@pytest.mark.parametrize("title", ["Show Documentation Explorer", "Show History", "Show GraphiQL Explorer"])
def test_each_panel_opens(page: Page, title: str) -> None:
    page.get_by_role("button", name=title).click()

    expect(page.get_by_role("button", name=title.replace("Show", "Hide"))).to_be_visible()


def test_every_button_has_a_label(page: Page) -> None:
    nameless = "buttons => buttons.filter(b => !(b.ariaLabel || b.innerText || b.title).trim()).map(b => b.outerHTML)"

    assert page.locator("button").evaluate_all(nameless) == []


def test_the_policy_of_the_page_allows_its_own_origin_only(page: Page, server: DevServer) -> None:
    headers = page.request.get(server.explorer_url).headers

    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";") if part.strip())
    assert policy["default-src"] in {"'none'", "'self'"}
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self'"


def test_a_job_is_followed_over_a_socket(page: Page, server: DevServer) -> None:
    read = {"query": "query One($id: ID!) { service(id: $id) { jobs(first: 1) { nodes { id } } } }"}
    headers = {"authorization": f"Bearer {server.tokens['service_manager']}"}
    body = read | {"variables": {"id": server.service_id}}
    jobs = page.request.post(server.graphql_url, data=body, headers=headers).json()
    job_id = jobs["data"]["service"]["jobs"]["nodes"][0]["id"]
    paste_text(
        page,
        "query-editor",
        f'subscription Follow {{ jobProgress(jobId: "{job_id}") {{ job {{ id }} progress {{ total }} }} }}',
    )
    page.get_by_role("tab", name="Follow").wait_for()
    with page.expect_websocket() as opened:
        page.get_by_role("button", name="Execute query").click()

    assert urlsplit(opened.value.url).path == "/graphql"
    wait_until_shown(page, job_id)

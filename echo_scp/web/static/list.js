// Keeps the list fresh: the same page again every few seconds, its listing put in the place of the old one.
const PERIOD_MS = 5000;
const PATIENCE_MS = 10000; // browsers themselves wait for minutes
const listing = document.getElementById("listing");
const stale = document.getElementById("stale");
let seen = new Date();

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(PATIENCE_MS) });
  if (answer.redirected) location.reload(); // logged out
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  seen = new Date();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("listing");
  if (!fresh || fresh.innerHTML === listing.innerHTML) return;
  const focused = listing.contains(document.activeElement) ? document.activeElement.id : "";
  const scrolled = listing.querySelector(".scroll")?.scrollLeft ?? 0;
  const count = listing.querySelector("#count");
  const freshCount = fresh.querySelector("#count");
  if (count && freshCount) { // the same element, so that a screen reader tells of a change, and only of one
    if (count.textContent !== freshCount.textContent) count.textContent = freshCount.textContent;
    freshCount.replaceWith(count);
  }
  listing.replaceChildren(...fresh.childNodes);
  const region = listing.querySelector(".scroll");
  if (region) region.scrollLeft = scrolled;
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

async function tell() {
  let problem = "";
  try {
    await refresh();
  } catch { // the node restarts, or its database is away: the next try tells
    problem = `The node does not answer. The list is of ${seen.toISOString().slice(11, 19)} UTC.`;
  }
  if (stale.textContent !== problem) stale.textContent = problem; // a screen reader tells of it once
}

async function forever() {
  if (!document.hidden) await tell();
  setTimeout(forever, PERIOD_MS);
}

setTimeout(forever, PERIOD_MS);

// Reloads a pull request's page when one of its branches changes. Without it, the page shows what was true when it was loaded.
for (const section of document.querySelectorAll("section[data-events]")) {
  const events = new EventSource(section.dataset.events);
  let shown = null;
  events.addEventListener("branch", (event) => {
    const { state, generation, head_sha } = JSON.parse(event.data);
    const now = JSON.stringify([state, generation, head_sha]);
    if (shown !== null && shown !== now) location.reload();
    shown = now;
  });
}

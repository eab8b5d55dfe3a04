// What scripts add to the pages of trends: a link with fixed dates is copied as it is followed.
for (const link of document.querySelectorAll("a[data-copy]")) {
  if (!navigator.clipboard) break;
  const said = link.firstChild;
  const words = said.nodeValue;
  said.nodeValue = "Copy link";
  link.setAttribute("aria-live", "polite");
  link.addEventListener("click", async (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    try {
      await navigator.clipboard.writeText(link.href);
      said.nodeValue = "Copied, with fixed dates";
    } catch {
      said.nodeValue = words;
      location.assign(link.href);
    }
  });
}

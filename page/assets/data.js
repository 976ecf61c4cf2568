// Data is in script elements that browsers do not run: base64 of gzip.

// unpack returns the text of a piece, or null if the page has no such piece. The scripts run
// before the page is loaded completely, so they may have to wait for it.
async function unpack(id) {
  const find = () => $("data-" + id);
  while (!find() && document.readyState === "loading") await new Promise(f => setTimeout(f, 20));
  const packed = find();
  if (!packed) return null;
  const raw = Uint8Array.from(atob(packed.textContent), c => c.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const pieces = new Map();

// data returns a value of the page, which is unpacked once.
function data(id) {
  if (!pieces.has(id))
    pieces.set(
      id,
      unpack(id).then(text => text && JSON.parse(text)),
    );
  return pieces.get(id);
}

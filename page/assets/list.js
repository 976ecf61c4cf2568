// List shows a long list, of which only the visible rows exist as elements. Browsers limit
// the height of an element (Firefox to about 17 million pixels), so a very long list is
// scrolled in larger steps: a pixel of the scroll bar is then more than one of the list.
class List {
  constructor(box, rowHeight, draw) {
    this.box = box; this.rowHeight = rowHeight; this.draw = draw; this.count = 0;
    this.sizer = el("div", { class: "sizer", role: "presentation" });
    box.replaceChildren(this.sizer);
    box.addEventListener("scroll", () => this.show());
    new ResizeObserver(() => this.show()).observe(box);
  }
  setCount(count) {
    this.count = count;
    this.height = Math.min(count * this.rowHeight, 8e6);
    this.sizer.style.height = this.height + "px";
    this.show();
  }
  // first returns the row at the top; a fraction if it is partly visible.
  first() {
    const room = this.height - this.box.clientHeight;
    const rows = this.count - this.box.clientHeight / this.rowHeight;
    return room <= 0 ? 0 : Math.max(0, this.box.scrollTop / room * rows);
  }
  goTo(row) {
    const rows = this.count - this.box.clientHeight / this.rowHeight;
    const room = this.height - this.box.clientHeight;
    const top = row - this.box.clientHeight / this.rowHeight / 3;
    this.box.scrollTop = rows <= 0 ? 0 : Math.max(0, top / rows * room);
    this.show();
  }
  isSeen(row) {
    const first = this.first();
    return row >= first && row + 1 <= first + this.box.clientHeight / this.rowHeight;
  }
  show() {
    const first = this.first();
    const from = Math.max(0, Math.floor(first) - 10);
    const to = Math.min(this.count, Math.ceil(first + this.box.clientHeight / this.rowHeight) + 10);
    const rows = [];
    for (let i = from; i < to; i++) {
      const row = this.draw(i);
      row.style.top = this.box.scrollTop + (i - first) * this.rowHeight + "px";
      rows.push(row);
    }
    const active = this.sizer.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    this.sizer.replaceChildren(...rows);
    if (active !== undefined) {
      const again = this.sizer.querySelector(`[data-key="${CSS.escape(active)}"]`);
      (again || this.box).focus({ preventScroll: true });
    }
  }
}

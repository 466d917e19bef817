"use strict";
// Colours, which other parts of the page ask for, and pictures at their full size.
const theme = {
  chosen: document.getElementById("theme"),
  system: matchMedia("(prefers-color-scheme: dark)"),
  listeners: [],
  apply() {
    const dark = this.chosen.value ? this.chosen.value === "dark" : this.system.matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    this.listeners.forEach((heard) => heard());
  },
  colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  },
};
theme.chosen.addEventListener("change", () => theme.apply());
theme.system.addEventListener("change", () => theme.apply());
theme.apply();

const large = document.getElementById("large");
document.querySelectorAll("button.look").forEach((button) => {
  button.addEventListener("click", () => {
    const [own, shown] = [button.querySelector("img"), large.querySelector("img")];
    shown.src = own.src;
    shown.alt = own.alt;
    large.showModal();
  });
});
large.addEventListener("click", () => large.close());

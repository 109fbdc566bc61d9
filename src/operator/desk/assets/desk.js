// Everything works without this. It makes faders speak while they move, and keeps figures fresh.
'use strict';

const REFRESH_EVERY_MS = 3_000;

// On a phone the places are a strip wider than the window: the present one is brought into sight, nothing else moves.
const strip = document.querySelector('.top nav');
const here = strip?.querySelector('[aria-current]');
if (here) strip.scrollLeft = here.offsetLeft + here.offsetWidth / 2 - strip.clientWidth / 2;

for (const cap of document.querySelectorAll('[data-fader]')) {
  const form = cap.closest('form');
  const output = form.querySelector('output');
  const move = form.querySelector('.move');
  const rest = move?.textContent;
  const show = () => {
    output.textContent = cap.value;
    cap.setAttribute('aria-valuetext', `${cap.value} percent`);
    if (move === null) return;
    const isMoved = cap.value !== cap.defaultValue;
    move.classList.toggle('moved', isMoved);
    move.textContent = isMoved ? `Set to ${cap.value} %…` : rest;
  };
  cap.addEventListener('input', show);
  show();
}

/** A part without what is another each time and nobody sees: the secrets of its forms. */
function shown(part) {
  return part.innerHTML.replaceAll(/name="_csrf" value="[^"]*"/g, '');
}

/** Asks for this page again, and takes over what is marked as live. A form that somebody is at is left alone. */
async function refresh() {
  if (document.hidden) return;
  const response = await fetch(location.href, { headers: { 'x-refresh': '1' } });
  // The session has ended: better told now than with the next form.
  if (response.redirected) return location.assign(response.url);
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
  for (const old of document.querySelectorAll('[data-live]')) {
    const now = fresh.querySelector(`[data-live="${CSS.escape(old.dataset.live)}"]`);
    const isAtIt = old.contains(document.activeElement) || old.querySelector('details[open]') !== null;
    if (now === null || shown(now) === shown(old) || isAtIt) continue;
    old.replaceChildren(...now.childNodes);
  }
}

// What waits for a person stands on every page: it moves with what is shown beside it, and never alone.
if (document.querySelector('main [data-live]') !== null)
  setInterval(() => {
    // The next one tries again.
    refresh().catch(() => undefined);
  }, REFRESH_EVERY_MS);

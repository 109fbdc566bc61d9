// The desk also works without this script. It shows a fader's value while it moves, and refreshes figures.
'use strict';

const REFRESH_EVERY_MS = 3_000;

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const dateAndTime = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium' });
const zoneName = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' });

/** Shows every instant in the browser's zone. The server fills in its own zone for browsers without scripts. */
function localize(part) {
  for (const time of part.querySelectorAll('time[datetime]')) {
    const at = new Date(time.dateTime);
    const zone = document.createElement('span');
    zone.className = 'zone';
    zone.textContent = zoneName.formatToParts(at).find(({ type }) => type === 'timeZoneName').value;
    time.replaceChildren(`${dateAndTime.format(at)} `, zone);
  }
  for (const named of part.querySelectorAll('[data-zone]')) named.textContent = ZONE;
}
localize(document);

// On a phone the navigation is wider than the window. Only the navigation scrolls, to the present page.
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

/** Copies a part without the secrets of its forms, which differ at every load. */
function shown(part) {
  return part.innerHTML.replaceAll(/name="_csrf" value="[^"]*"/g, '');
}

/** Loads this page again and replaces the parts marked as live. A form that the user is filling in stays. */
async function refresh() {
  if (document.hidden) return;
  const response = await fetch(location.href, { headers: { 'x-refresh': '1' } });
  // The session has ended: show that now, and not only when a form is sent.
  if (response.redirected) return location.assign(response.url);
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
  localize(fresh);
  for (const old of document.querySelectorAll(LIVE)) {
    const now = fresh.querySelector(`[data-live="${CSS.escape(old.dataset.live)}"]`);
    const isAtIt = old.contains(document.activeElement) || old.querySelector('details[open]') !== null;
    if (now === null || shown(now) === shown(old) || isAtIt) continue;
    old.replaceChildren(...now.childNodes);
  }
}

// The navigation of every page shows what waits for a person. It changes only together with the page.
// Incidents are refreshed on every page.
const INCIDENTS = '[data-live="incidents"]';
const hasLiveParts = document.querySelector(`main [data-live]:not(${INCIDENTS})`) !== null;
const LIVE = hasLiveParts ? '[data-live]' : INCIDENTS;

if (document.querySelector(LIVE) !== null)
  setInterval(() => {
    // The next refresh tries again.
    refresh().catch(() => undefined);
  }, REFRESH_EVERY_MS);

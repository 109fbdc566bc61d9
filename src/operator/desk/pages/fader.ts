import type { FlagStatus } from '../../api/status.ts';
import type { LaneCounts } from '../../api/flips.ts';
import { flagReason, flagState } from '../../views/flags.ts';
import { COUNT_WORDS } from '../../views/flips.ts';
import { count, percent } from '../figures.ts';
import { html, type Html } from '../../views/html.ts';

export interface Fader {
  /** Unique on the page. */
  readonly id: string;
  readonly name: string;
  /** What the share is of: `of lanes`. */
  readonly flag: string;
  readonly status: FlagStatus;
  /** Why it cannot be changed here. It is shown all the same. */
  readonly fixed?: string;
  /** Lanes that the fader moves. Absent while it moves none. */
  readonly lanes?: LaneCounts | undefined;
}

/** Size in the drawing's own units: the centre of the cap moves from one end to the other. */
const HEIGHT = 200;
const CAP = 26;
const TRAVEL = HEIGHT - CAP;
const SEGMENTS = 20;

const yOf = (share: number): number => HEIGHT - CAP / 2 - (TRAVEL * share) / 100;

/** Handle = requested, bar = active. It also works without a script. */
export function fader({ id, name, flag, status, fixed, lanes }: Fader): Html {
  const isFixed = fixed !== undefined;
  const state = flagState(status);
  return html`<form class="fader ${state}" method="get" action="/flags/${flag}" autocomplete="off">
    <label class="fader-name" for="${id}">${name}</label>
    <div class="fader-slot">
      <div class="scale" data-live="scale-${id}">${scale(status)}</div>
      <input
        type="range"
        id="${id}"
        name="share"
        min="0"
        max="100"
        step="1"
        value="${Math.round(status.asked)}"
        aria-describedby="${id}-effect"
        ${isFixed && html`disabled`}
        data-fader
      />
    </div>
    <div class="fader-state">
      <p class="fader-asked">
        <output for="${id}">${Math.round(status.asked)}</output><span class="unit"> %</span
        ><span class="caption">requested</span>
      </p>
      <p class="fader-effect" id="${id}-effect" data-live="effect-${id}">
        <strong>${percent(status.in_effect)}</strong> active<span class="why"
          >${state === 'tripped' ? '▲ ' : state === 'held' ? '◆ ' : ''}${flagReason(status)}</span
        >
      </p>
      <div data-live="lanes-${id}">${lanes !== undefined && laneCounts(lanes, flag)}</div>
      ${isFixed ? html`<p class="fader-fixed">${fixed}</p>` : html`<button class="move">Set ${name.toLowerCase()}…</button>`}
    </div>
  </form>`;
}

/** Each number says in which time. The stuck lanes are listed on the page of the flag. */
function laneCounts(lanes: LaneCounts, flag: string): Html {
  const names = ['eligible', 'moving', 'moved', 'stuck'] as const;
  return html`<dl class="fader-lanes">
      ${names.map(
        (name) =>
          html`<div>
            <dt>${name} <span class="window">${COUNT_WORDS[name].window}</span></dt>
            <dd>
              ${name === 'stuck' && lanes.stuck > 0 ? html`<a class="state warn" href="/flags/${flag}#flip-stuck">◆ ${count(lanes.stuck)}</a>` : count(lanes[name])}
            </dd>
          </div>`,
      )}
    </dl>
    ${!lanes.whole && html`<p class="note">of the first 10,000 lanes on legacy</p>`}`;
}

function scale({ in_effect: inEffect }: FlagStatus): Html {
  return html`<svg viewBox="0 0 112 ${HEIGHT}" aria-hidden="true">
    ${[0, 25, 50, 75, 100].map(
      (share) =>
        html`<text x="20" y="${yOf(share) + 3.5}" text-anchor="end">${share}</text
          ><line class="tick" x1="25" x2="33" y1="${yOf(share)}" y2="${yOf(share)}" />`,
    )}
    ${[12.5, 37.5, 62.5, 87.5].map((share) => html`<line class="tick minor" x1="29" x2="33" y1="${yOf(share)}" y2="${yOf(share)}" />`)}
    <rect class="slot" x="54" y="${CAP / 2 - 6}" width="4" height="${TRAVEL + 12}" rx="2" />
    ${Array.from({ length: SEGMENTS }, (_, index) => segment(index, inEffect))}
    <path class="level" d="M98 ${yOf(inEffect)} l8 -4.5 v9 z" />
  </svg>`;
}

function segment(index: number, inEffect: number): Html {
  const step = TRAVEL / SEGMENTS;
  const isLit = inEffect > 0 && inEffect >= ((index + 0.5) * 100) / SEGMENTS;
  const y = HEIGHT - CAP / 2 - (index + 1) * step + 1;
  return html`<rect
    class="led ${isLit && 'lit'}"
    x="82"
    y="${y.toFixed(1)}"
    width="11"
    height="${(step - 2).toFixed(1)}"
    rx="1"
  />`;
}

import type { Status } from '../api/status.ts';
import { STAGES } from '../../domain/stage.ts';
import { stageReason } from '../flag-reasons.ts';
import { html, type Html } from './html.ts';

const COUNT = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const PERCENT = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

/** Shown where there is no number yet. */
const NONE = '–';

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : COUNT.format(value);
}

/** `1 letter`, `2 letters`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

export function percent(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : `${PERCENT.format(value)} %`;
}

/** A share of 0–1 near 1, with as many digits as distinguish it from 100 %. Never rounded up to 100. */
export function consistency(differing: number, of: number): string {
  if (of === 0) return NONE;
  if (differing === 0) return '100 %';
  const share = 100 * (1 - differing / of);
  const digits = share > 99.9 ? 3 : share > 99 ? 2 : 1;
  return `${(Math.floor(share * 10 ** digits) / 10 ** digits).toFixed(digits)} %`;
}

export function milliseconds(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  if (value >= 10_000) return `${(value / 1_000).toFixed(0)} s`;
  if (value >= 1_000) return `${(value / 1_000).toFixed(1)} s`;
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ms`;
}

/** An age, in coarser units the longer it is. */
export function age(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(0)} s`;
  return seconds < 7_200 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3_600).toFixed(0)} h`;
}

/** An ISO-8601 instant. `inZone` fills it in with the date and time of a zone. */
export function when(iso: string | null | undefined): Html | string {
  return iso === null || iso === undefined ? NONE : html`<time datetime="${iso}"></time>`;
}

/** A protocol word as people read it: `read_cutover` becomes `read cutover`. */
export function spoken(word: string): string {
  return word.replaceAll(/[_-]/g, ' ');
}

/** Any value of an answer, in one line. */
export function shownValue(value: unknown): string {
  if (typeof value === 'string') return value;
  return JSON.stringify(value) ?? NONE;
}

type Staged = Pick<Status['services'][number], 'stage' | 'requested_stage' | 'flags'>;

/** How far a service has moved: one mark per stage, with the active stage named. If another is requested, that one and why. */
export function ladder(service: Staged): Html {
  const { stage } = service;
  const at = STAGES.indexOf(stage);
  return html`<div class="ladder">
    <p class="stage">
      <span class="caption">Stage</span> <strong>${spoken(stage)}</strong>
      <span class="of">${at + 1} of ${STAGES.length}</span>
    </p>
    <svg viewBox="0 0 140 8" preserveAspectRatio="none" aria-hidden="true">
      ${STAGES.map(
        (_, index) =>
          html`<rect class="${index <= at ? 'past' : 'ahead'}" x="${index * 20}" width="18" height="8" />`,
      )}
    </svg>
    ${requested(service)}
  </div>`;
}

function requested({ stage, requested_stage: wanted, flags }: Staged): Html | false {
  if (stage === wanted) return false;
  return html`<p class="requested">
    <span class="state warn">◆ requested: ${spoken(wanted)}</span>
    <span class="note">${stageReason(flags)}</span>
  </p>`;
}

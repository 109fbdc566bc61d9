import type { Status } from '../api/status.ts';
import { STAGES } from '../../domain/stage.ts';
import { stageReason } from '../views/flags.ts';
import type { Unit } from '../views/document.ts';
import { spoken, NOTHING, printedFigure } from '../views/figures.ts';
import { html, type Html } from '../views/html.ts';

export const count = (value: Known): string => printed(value, 'count');
/** @param value 0–100 */
export const percent = (value: Known): string => printed(value, 'percentage');
export const milliseconds = (value: Known): string => printed(value, 'ms');

type Known = number | null | undefined;

function printed(value: Known, unit: Unit): string {
  return printedFigure({ value: value ?? null, unit });
}

/** A share of 0–1 near 1, with as many digits as distinguish it from 100 %. Never rounded up to 100. */
export function consistency(differing: number, of: number): string {
  if (of === 0) return NOTHING;
  if (differing === 0) return '100 %';
  const share = 100 * (1 - differing / of);
  const digits = share > 99.9 ? 3 : share > 99 ? 2 : 1;
  return `${(Math.floor(share * 10 ** digits) / 10 ** digits).toFixed(digits)} %`;
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

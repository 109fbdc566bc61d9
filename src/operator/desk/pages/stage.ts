import { STAGES } from '../../../domain/stage.ts';
import { stageReason } from '../../flag-reasons.ts';
import type { Status } from '../../status.ts';
import { spoken } from '../figures.ts';
import { html, type Html } from '../html.ts';

type Staged = Pick<Status['services'][number], 'stage' | 'requested_stage' | 'flags'>;

/** How far a service has moved: one mark per stage, with the stage in effect named. If another is requested, that one and why. */
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

import { STAGES, type Stage } from '../../../domain/stage.ts';
import { spoken } from '../figures.ts';
import { html, type Html } from '../html.ts';

/** How far a service has moved: one mark per stage, with the present stage named. */
export function ladder(stage: Stage): Html {
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
  </div>`;
}

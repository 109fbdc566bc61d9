import type { Status } from '../../api/status.ts';
import { heldBlocks, heldMark } from '../../views/guard.ts';
import { html, type Html } from '../../views/html.ts';
import { alertOf } from '../../views/incidents.ts';
import { standingFindings } from '../../words.ts';
import type { Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import { blocksHtml } from './table-panel.ts';

type Guarded = NonNullable<Status['services'][number]['guard']>;

/**
 * Whether the reads of a service are held on legacy, and whether anything else is wrong with it.
 * @param trouble what is wrong, in a few words
 */
export function lamp(
  { held_by: heldBy, findings }: Pick<Guarded, 'held_by'> & Partial<Pick<Guarded, 'findings'>>,
  trouble = alertOf(findings),
): Html {
  if (heldBy !== null)
    return html`<p class="lamp bad"><span aria-hidden="true">▲</span> ${heldMark(heldBy).mark}</p>`;
  return trouble === undefined
    ? html`<p class="lamp good"><span aria-hidden="true">●</span> Healthy</p>`
    : html`<p class="lamp warn"><span aria-hidden="true">◆</span> ${trouble}</p>`;
}

interface OfService {
  readonly service: string;
  readonly guarded: Guarded;
  /** What is wrong with the service although its reads are not held. */
  readonly trouble?: string | undefined;
  /** The form is unfolded, because a person came to release the latch. */
  readonly isReleasing?: boolean;
}

/** The latch of a service: its trigger, its time, and its release. */
export function latchOf(visit: Visit, { service, guarded, trouble, isReleasing = false }: OfService): Html {
  const { latch, held_by: heldBy, findings } = guarded;
  if (heldBy === null) return lamp(guarded, trouble);
  const told = html`${lamp(guarded)} ${blocksHtml(`latch-${service}`, heldBlocks(guarded))}`;
  if (latch === undefined) return told;
  const isStillFound = standingFindings(findings).length > 0;
  return html`${told}
    <p><a href="/guard/bundles/${latch.id}">Bundle of this trip</a></p>
    ${foldedChange(visit, {
      action: `/guard/${service}/release`,
      label: isStillFound ? 'Release the latch even though it may trip again' : 'Release the latch',
      role: 'approver',
      isGrave: true,
      isOpen: isReleasing,
      // The API refuses the release while a trigger is still found, unless the person confirms. The label states what the person
      // confirms.
      fields: isStillFound ? { even_so: 'yes' } : {},
    })}`;
}

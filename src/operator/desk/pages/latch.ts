import type { Status } from '../../api/status.ts';
import { spoken } from '../../views/figures.ts';
import { when, html, type Html } from '../../views/html.ts';
import { alertOf, causeOf, stillFound } from '../incidents.ts';
import type { Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';

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
    return html`<p class="lamp bad"><span aria-hidden="true">▲</span> Held on legacy: ${spoken(heldBy)}</p>`;
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
  const { latch, flags_off: off, held_by: heldBy } = guarded;
  if (heldBy === null) return lamp(guarded, trouble);
  if (latch === undefined)
    return html`${lamp(guarded)}
      <p class="help">Nothing to release. Reads move again when the cause is gone.</p>`;
  const { action, detail } = latch.finding;
  const found = stillFound(guarded);
  return html`${lamp(guarded)}
    <p>
      ${causeOf(latch.finding)}${action !== undefined && html` in <code>${action}</code>`}.
      <span class="note"
        >Tripped ${when(latch.tripped_at)}${detail !== undefined && `, window or source: ${detail}`}. It can
        be released after ${when(latch.cool_down_until)}.</span
      >
    </p>
    <p><a href="/guard/bundles/${latch.id}">Bundle of this trip</a></p>
    ${off !== undefined && html`<p class="note">${flagsOff(off)}</p>`}
    ${foldedChange(visit, {
      action: `/guard/${service}/release`,
      label: found === undefined ? 'Release the latch' : 'Release the latch even though it may trip again',
      role: 'approver',
      isGrave: true,
      isOpen: isReleasing,
      // The API refuses the release while a trigger is still found, unless the person confirms. The label states what the person
      // confirms.
      fields: found === undefined ? {} : { even_so: 'yes' },
      controls:
        found !== undefined &&
        html`<p class="notice warn" role="note">
          ◆ The guard still finds: ${found}. Fix the cause first. Counting starts again at the release, and
          the same answers will trip the guard again.
        </p>`,
    })}`;
}

/** Whether the flags show the trip. */
function flagsOff({ state, flags = [], last_error: error }: NonNullable<Guarded['flags_off']>): string {
  if (state === 'not_configured') return 'The flags are unchanged. The latch overrides them.';
  if (state === 'off')
    return flags.length === 0
      ? 'No flag in Unleash had to be switched off.'
      : `Switched off in Unleash: ${flags.join(', ')}.`;
  return `Not yet switched off in Unleash: ${error ?? 'the proxy is trying'}`;
}

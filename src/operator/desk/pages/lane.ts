import type { Explanation } from '../../api/explain.ts';
import { ENDPOINTS } from '../../api/endpoints.ts';
import { spoken } from '../../views/figures.ts';
import { html, type Html, type Shown } from '../../views/html.ts';
import { count } from '../figures.ts';
import { explainedSections } from '../../views/explain.ts';
import { laneCondition, laneDifferences } from '../../views/lanes.ts';
import { term } from '../glossary.ts';
import type { Asked, Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import type { Page } from './layout.ts';
import { sectionPanel, shown } from './table-panel.ts';
import { serviceOf } from './service.ts';

/** One lane: where its requests go and why, its last writes, and what a person can do. */
export async function lanePage(
  visit: Visit,
  { params }: Asked<{ service: string; owner: string }>,
): Promise<Page> {
  const { service } = await serviceOf(visit, params.service);
  const explained = await visit.api.ask(ENDPOINTS.explain, {
    params: { service, subject: params.owner },
  });
  return {
    title: explained.owner,
    lead: html`A lane of <a href="/services/${service}">${service}</a>.
      <a href="/lanes?service=${service}">All lanes</a>`,
    body: html`<div class="columns">${standing(explained)}${deeds(visit, service, explained)}</div>
      ${explainedSections(explained).map((part, index) => sectionPanel(`explained-${index}`, part))}${differing(service, explained)}`,
  };
}

/** Whether the orchestrator may answer reads of the lane, and why not. */
const FENCES: Readonly<Record<string, string>> = {
  open: 'The orchestrator may answer its reads, if the flags permit.',
  flipped: 'The orchestrator is primary for its writes, and answers its reads whatever the flags say.',
  not_seeded: 'The lane is not copied yet, so legacy answers.',
  excepted: 'The last copy left items out. Legacy answers until a person accepts that.',
  dirty: 'Its history is uncertain. Legacy answers until a copy has finished.',
  copying: 'It is being copied. Legacy answers meanwhile.',
  differs:
    'A reconciliation found a difference. Legacy answers until the lane is repaired, copied or accepted.',
};

/** Why a lane is stopped. Legacy answers its reads until a person decides. */
const STOPS: Readonly<Record<string, Shown>> = {
  lost: html`Legacy answers until a person decides about <a href="/lost">the lost items</a>.`,
  repair_undone:
    'A repair was undone. Legacy answers until a new reconciliation and its repair make both backends equal.',
  too_many_exceptions:
    'A copy would leave out too many items. Fix the items that the orchestrator refuses, then copy the lane. Until then legacy answers.',
  would_remove_too_much:
    'A copy would remove too many items. Check what legacy holds, then copy the lane. Until then legacy answers.',
};

function standingOf(fence: string, reason: string | undefined): Shown {
  if (fence === 'stopped') return STOPS[reason ?? ''] ?? `Legacy answers: ${spoken(reason ?? fence)}.`;
  return FENCES[fence] ?? spoken(fence);
}

type ExplainedLane = Exclude<Explanation['inputs']['lane'], string>;

function standing({ inputs: { lane, fence } }: Explanation): Html {
  const known: Partial<ExplainedLane> = typeof lane === 'string' ? {} : lane;
  return html`<section class="panel" aria-labelledby="now">
    <h2 id="now">Now</h2>
    <p>
      ${shown([laneCondition(known)])}
      <span class="note-inline">${standingOf(fence, known.reason)}</span>
    </p>
    <p class="note">${shown(laneDifferences(known))}</p>
    <dl class="figures">
      <div>
        <dt>writes</dt>
        <dd>${count(known.sequence)}</dd>
      </div>
      <div>
        <dt>${term('delivered')}</dt>
        <dd>${count(known.delivered_sequence)}</dd>
      </div>
      <div>
        <dt>${term('generation')}</dt>
        <dd>${count(known.generation)}</dd>
      </div>
      <div>
        <dt>${term('exception', 'exceptions')}</dt>
        <dd>${count(known.exceptions)}</dd>
      </div>
    </dl>
  </section>`;
}

function deeds(visit: Visit, service: string, { owner, inputs: { lane } }: Explanation): Html {
  const fields = { owner };
  return html`<section class="panel" aria-labelledby="deeds">
    <h2 id="deeds">Actions</h2>
    <p class="help">
      A copy makes the orchestrator hold what legacy shows. A comparison is a reconciliation of this owner
      only. It changes nothing.
    </p>
    ${foldedChange(visit, { action: `/lanes/${service}/copy`, label: 'Copy the lane', role: 'operator', fields })}
    ${foldedChange(visit, { action: `/lanes/${service}/compare`, label: 'Compare both backends', role: 'operator', fields })}
    ${
      typeof lane !== 'string' &&
      (lane.differences ?? 0) > 0 &&
      foldedChange(visit, {
        action: `/lanes/${service}/accept`,
        label: 'Accept the difference',
        role: 'approver',
        isGrave: true,
        fields,
      })
    }
  </section>`;
}

function differing(service: string, { differences, owner }: Explanation): Html | false {
  if (differences.length === 0) return false;
  return html`<p>
    <a href="/services/${service}/differences?owner=${encodeURIComponent(owner)}#found"
      >Both sides of these differences</a
    >
  </p>`;
}

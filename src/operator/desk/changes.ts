import type { StainedAction } from '../api/guard.ts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ApiRefusal } from './operator-api.ts';
import { count } from './figures.ts';
import { counted } from '../views/figures.ts';
import { ENDPOINTS } from '../api/endpoints.ts';
import { begun, change, type ChangeRoute, type Form, type Params, RUN_CHANGES } from './run-changes.ts';
import { rulesIn } from './pages/differences.ts';
import type { Visitors } from './visitors.ts';
import { fromOurForm } from './sessions.ts';
import { goTo, placeOf } from './visit.ts';

const CHANGES: readonly ChangeRoute[] = [
  change({
    path: '/flags/:flag',
    to: ENDPOINTS.setFlag,
    body: ({ share, was }) => ({ share: Number(share), was: Number(was) }),
    done: ({ share }, { flag = '' }, { seen }) =>
      `${flag} now requests ${share ?? ''} %${seen ? '.' : '; the proxy has not read it yet.'}`,
  }),
  change({
    path: '/dead-letters/:operation/redrive',
    to: ENDPOINTS.redriveDeadLetter,
    done: () => 'The write is sent again.',
  }),
  change({
    path: '/dead-letters/:operation/copy',
    to: ENDPOINTS.copyLaneOfDeadLetter,
    done: () => 'Its lane is being copied.',
  }),
  change({
    path: '/dead-letters/:operation/skip',
    to: ENDPOINTS.skipDeadLetter,
    done: () => 'The write is skipped for good.',
  }),
  change({
    path: '/unknown-outcomes/:operation/:outcome',
    to: ENDPOINTS.assumeOutcome,
    body: (_form, { outcome }) => ({ outcome }),
    done: (_form, { outcome = '' }) => `The write counts as ${outcome}.`,
  }),
  change({
    path: '/guard/:service/release',
    to: ENDPOINTS.releaseLatch,
    body: ({ even_so: evenSo }, { service }) => ({ service, ...(evenSo === 'yes' && { even_so: true }) }),
    done: (_form, { service = '' }, { stained }) =>
      `The latch of ${service} is released. The flags decide about its reads again.${stainOf(stained)}`,
  }),
  change({
    path: '/guard/:service/accept',
    to: ENDPOINTS.acceptSubject,
    body: ({ subject }, { service }) => ({ service, subject }),
    done: ({ subject = '' }, { service = '' }) =>
      `${subject.replace('action:', '')} of ${service} is accepted under your name. Its reads move without evidence.`,
  }),
  change({
    path: '/lanes/:service/copy',
    to: ENDPOINTS.copyLane,
    body: ({ owner }) => ({ owner }),
    done: () => 'The lane is being copied.',
  }),
  change({
    path: '/lanes/:service/accept',
    to: ENDPOINTS.acceptLane,
    body: ({ owner }) => ({ owner }),
    done: () => 'The difference is accepted. The orchestrator may answer the reads of the lane again.',
  }),
  change({
    path: '/lanes/:service/compare',
    to: ENDPOINTS.beginRun,
    body: ({ owner }, { service }) => ({ kind: 'reconcile', service, owner }),
    done: (_form, _params, { run }) => begun(run, `Run ${String(run)} compares it.`),
  }),
  ...RUN_CHANGES,
  change({
    path: '/services/:service/rules',
    to: ENDPOINTS.addRules,
    body: ({ rules = '' }, { service }) => ({ service, rules: rulesIn(rules) }),
    done: (_form, _params, { added }) =>
      `Rule ${added.join(', ')} will be in force on every replica within 5 s. Evidence for their actions starts again at zero.`,
  }),
  change({
    path: '/rules/:rule/remove',
    to: ENDPOINTS.removeRule,
    done: (_form, { rule = '' }) => `Rule ${rule} is no longer in force.`,
  }),
];

/** The evidence that a release does not reset. */
function stainOf(stained: readonly StainedAction[]): string {
  return stained
    .map(
      ({ action, mismatches, comparisons_missing: missing }) =>
        ` The evidence of ${action} keeps ${counted(mismatches, 'mismatch', 'mismatches')}. ${count(missing)} more comparisons must match before it is proven again.`,
    )
    .join('');
}

/** Every form that makes a change. Each asks for a name and a reason, makes the change, and returns to its page. */
export function registerChanges(app: FastifyInstance, visitors: Visitors): void {
  for (const route of CHANGES)
    app.post<{ Body: Form; Params: Params }>(route.path, { preHandler: fromOurForm(app) }, (request, reply) =>
      made(visitors, route, { request, reply }),
    );
}

interface Exchange {
  readonly request: FastifyRequest<{ Body: Form; Params: Params }>;
  readonly reply: FastifyReply;
}

async function made(
  visitors: Visitors,
  route: ChangeRoute,
  { request, reply }: Exchange,
): Promise<FastifyReply> {
  const known = visitors.known(request);
  if (known === undefined) return goTo(reply, '/sign-in');
  const { body: form, params } = request;
  const { reason = '', person = known.visitor.name ?? '' } = form;
  if (known.visitor.name === undefined) request.session.person = person;
  try {
    const done = await route.make(known.api, { form, params, by: { person, reason } });
    visitors.tell(request, { tone: 'good', ...(typeof done === 'string' ? { text: done } : done) });
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    visitors.tell(request, { tone: 'bad', text: error.message });
  }
  return goTo(reply, placeOf(form['back']));
}

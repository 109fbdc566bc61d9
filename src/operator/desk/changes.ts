import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { StainedAction } from '../guard-status.ts';
import { ApiRefusal } from './operator-api.ts';
import { count, counted } from './figures.ts';
import { type Answer, begun, type ChangeRoute, type Form, type Params, RUN_CHANGES } from './run-changes.ts';
import { rulesIn } from './pages/differences.ts';
import type { Reception } from './reception.ts';
import { fromOurForm } from './sessions.ts';
import { goTo, placeOf, tell } from './visit.ts';

const part = encodeURIComponent;

const CHANGES: readonly ChangeRoute[] = [
  {
    path: '/flags/:flag',
    to: ({ flag = '' }) => `/v1/flags/${part(flag)}`,
    body: ({ share, was }) => ({ share: Number(share), was: Number(was) }),
    done: ({ share }, { flag = '' }, { seen }) =>
      `${flag} now requests ${share ?? ''} %${seen === true ? '.' : '; the proxy has not read it yet.'}`,
  },
  {
    path: '/dead-letters/:operation/redrive',
    to: ({ operation = '' }) => `/v1/dead-letters/${part(operation)}/redrive`,
    done: () => 'The write is sent again.',
  },
  {
    path: '/dead-letters/:operation/copy',
    to: ({ operation = '' }) => `/v1/dead-letters/${part(operation)}/copy`,
    done: () => 'Its lane is being copied.',
  },
  {
    path: '/dead-letters/:operation/skip',
    to: ({ operation = '' }) => `/v1/dead-letters/${part(operation)}/skip`,
    done: () => 'The write is skipped for good.',
  },
  {
    path: '/unknown-outcomes/:operation/:outcome',
    to: ({ operation = '' }) => `/v1/unknown-outcomes/${part(operation)}/assume`,
    body: (_form, { outcome }) => ({ outcome }),
    done: (_form, { outcome = '' }) => `The write counts as ${outcome}.`,
  },
  {
    path: '/guard/:service/release',
    to: () => '/v1/guard/release',
    body: ({ even_so: evenSo }, { service }) => ({ service, ...(evenSo === 'yes' && { even_so: true }) }),
    done: (_form, { service = '' }, { stained }) =>
      `The latch of ${service} is released. The flags decide about its reads again.${stainOf(stained)}`,
  },
  {
    path: '/guard/:service/accept',
    to: () => '/v1/guard/accept',
    body: ({ subject }, { service }) => ({ service, subject }),
    done: ({ subject = '' }, { service = '' }) =>
      `${subject.replace('action:', '')} of ${service} is accepted under your name. Its reads move without evidence.`,
  },
  {
    path: '/lanes/:service/copy',
    to: ({ service = '' }) => `/v1/services/${part(service)}/lanes/copy`,
    body: ({ owner }) => ({ owner }),
    done: () => 'The lane is being copied.',
  },
  {
    path: '/lanes/:service/accept',
    to: ({ service = '' }) => `/v1/services/${part(service)}/lanes/accept`,
    body: ({ owner }) => ({ owner }),
    done: () => 'The difference is accepted. The orchestrator may answer the reads of the lane again.',
  },
  {
    path: '/lanes/:service/compare',
    to: () => '/v1/runs',
    body: ({ owner }, { service }) => ({ kind: 'reconcile', service, owner }),
    done: (_form, _params, { run }) => begun(run, `Run ${String(run)} compares it.`),
  },
  ...RUN_CHANGES,
  {
    path: '/services/:service/rules',
    to: () => '/v1/rules',
    body: ({ rules = '' }, { service }) => ({ service, rules: rulesIn(rules) }),
    done: (_form, _params, { added }) =>
      `${Array.isArray(added) ? `Rule ${added.join(', ')}` : 'The rules'} will be in force on every replica within 5 s. Evidence for their actions starts again at zero.`,
  },
  {
    path: '/rules/:rule/remove',
    to: ({ rule = '' }) => `/v1/rules/${part(rule)}/remove`,
    done: (_form, { rule = '' }) => `Rule ${rule} is no longer in force.`,
  },
];

/** The evidence that a release does not reset. */
function stainOf(stained: unknown): string {
  const actions = (Array.isArray(stained) ? stained : []) as readonly StainedAction[];
  return actions
    .map(
      ({ action, mismatches, comparisons_missing: missing }) =>
        ` The evidence of ${action} keeps ${counted(mismatches, 'mismatch', 'mismatches')}. ${count(missing)} more comparisons must match before it is proven again.`,
    )
    .join('');
}

/** Every form that makes a change. Each asks for a name and a reason, makes the change, and returns to its page. */
export function registerChanges(app: FastifyInstance, reception: Reception): void {
  for (const change of CHANGES)
    app.post<{ Body: Form; Params: Params }>(
      change.path,
      { preHandler: fromOurForm(app) },
      (request, reply) => made(reception, change, { request, reply }),
    );
}

interface Exchange {
  readonly request: FastifyRequest<{ Body: Form; Params: Params }>;
  readonly reply: FastifyReply;
}

async function made(
  reception: Reception,
  change: ChangeRoute,
  { request, reply }: Exchange,
): Promise<FastifyReply> {
  const known = reception.known(request);
  if (known === undefined) return goTo(reply, '/sign-in');
  const { body: form, params } = request;
  const { reason = '', person = known.visitor.name ?? '' } = form;
  if (known.visitor.name === undefined) request.session.person = person;
  try {
    const wish = { ...change.body?.(form, params), person, reason };
    const answer = await known.api.post<Answer>(change.to(params), wish);
    const done = change.done(form, params, answer);
    tell(request, { tone: 'good', ...(typeof done === 'string' ? { text: done } : done) });
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    tell(request, { tone: 'bad', text: error.message });
  }
  return goTo(reply, placeOf(form['back']));
}

import type { RuleInForce, ShownSignature } from '../../api/comparisons.ts';
import type { Consistency } from '../../api/history.ts';
import { parse } from 'yaml';
import { messageOf } from '../../../domain/errors.ts';
import { ENDPOINTS } from '../../api/endpoints.ts';
import type { TriedAction } from '../../api/rules.ts';
import { counted, spoken } from '../../views/figures.ts';
import { html, type Html } from '../../views/html.ts';
import { count, percent } from '../figures.ts';
import { rulesTable, signaturesTable } from '../../views/differences.ts';
import { section } from '../../views/document.ts';
import { consistencyOf } from '../consistency.ts';
import { ApiRefusal } from '../operator-api.ts';
import type { Asked, Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import { addressOf, differencesPanel, filterOf, searchOf } from './found-differences.ts';
import { emptyState, noticeBar, type Page } from './layout.ts';
import { serviceOf, type ServiceStatus } from './service.ts';
import { sectionPanel, viewTable } from './table-panel.ts';

type OfService = Asked<{ service: string }>;

/** The differences by cause and one by one, and what proposed rules would do to them. */
export async function differencesPage(visit: Visit, asked: OfService): Promise<Page> {
  return pageOf(visit, asked, undefined);
}

/** The same page after rules were tried. */
export async function triedPage(visit: Visit, asked: OfService, rules: string): Promise<Page> {
  try {
    const wish = { service: asked.params.service, rules: rulesIn(rules) };
    const { actions } = await visit.api.ask(ENDPOINTS.tryRules, { body: wish });
    return await pageOf(visit, asked, { rules, actions });
  } catch (error) {
    if (!(error instanceof ApiRefusal) || error.status !== 400) throw error;
    return pageOf(visit, asked, { rules, problem: error.message });
  }
}

/** The rules of a file. A value that is not a list counts as one rule. @throws ApiRefusal if the text is not YAML */
export function rulesIn(text: string): readonly unknown[] {
  try {
    const rules: unknown = parse(text);
    return Array.isArray(rules) ? rules : [rules];
  } catch (error) {
    throw new ApiRefusal(400, 'invalid_request', messageOf(error));
  }
}

async function pageOf(visit: Visit, { params, query }: OfService, trial: Trial | undefined): Promise<Page> {
  const status = await serviceOf(visit, params.service);
  const { service } = status;
  const ofService = { params: { service } };
  const filter = filterOf(query);
  const [{ signatures }, { differences }, { rules }] = await Promise.all([
    visit.api.ask(ENDPOINTS.listSignatures, ofService),
    visit.api.ask(ENDPOINTS.listDifferences, { ...ofService, query: searchOf(filter) }),
    visit.api.ask(ENDPOINTS.showComparisons, ofService),
  ]);
  const proposal =
    trial?.rules ?? proposalOf(signatures, { query, actions: Object.keys(status.actions ?? {}) });
  return {
    title: `Differences of ${service}`,
    lead: html`Differences that shadow reads found. Values are redacted to their kind, size and digest.
      <a href="/services/${service}">${service}</a>`,
    body: html`${signaturesPanel(status, signatures, (await consistencyOf(visit))?.services[service]?.today)}${tryPanel(visit, { service, text: proposal, trial })}${differencesPanel(differences, { service, filter, actions: Object.keys(status.actions ?? {}) })}${rulesPanel(visit, rules)}`,
  };
}

function signaturesPanel(
  asked: ServiceStatus,
  signatures: readonly ShownSignature[],
  today: Consistency | undefined,
): Html {
  const { service } = asked;
  if (signatures.length === 0) return nothingDiffers(asked, today);
  return html`<section class="panel" aria-labelledby="signatures">
    <h2 id="signatures">By cause <span class="of">${counted(signatures.length, 'signature')}</span></h2>
    ${viewTable('signatures', signaturesTable(service, signatures), {
      name: 'Rule',
      cells: signatures.map((each, index) => signatureLinks(service, each, index)),
    })}
  </section>`;
}

function signatureLinks(service: string, each: ShownSignature, index: number): Html {
  const cause = { action: each.action, path: each.path, class: each.class };
  return html`<a href="${addressOf(service, cause)}"
      >Show<span class="unseen"> differences at ${each.path}</span></a
    >
    ${!isOfWholeLane(each) && ruleLink(service, each.path, index)}`;
}

function nothingDiffers({ flags }: ServiceStatus, today: Consistency | undefined): Html {
  const share = flags['shadow-read'].asked;
  const advice = share < 100 ? ` Shadow reads are at ${percent(share)}. Raise them to compare more.` : '';
  return today === undefined || today.compared === 0
    ? emptyState(
        'No differences are stored',
        `Nothing was compared today. Comparing begins with the first read of a seeded lane.${advice}`,
      )
    : emptyState(
        'No differences',
        `${counted(today.compared, 'comparison')} today on all replicas, without a difference that counts.${advice}`,
      );
}

/** No rule applies to comparisons of whole lanes in the services' stores. */
function isOfWholeLane({ path }: ShownSignature): boolean {
  return path.startsWith('whole_lane');
}

function ruleLink(service: string, path: string, index: number): Html {
  return html`<a href="/services/${service}/differences?rule=${index}#try"
    >Try a rule<span class="unseen"> for ${path}</span></a
  >`;
}

/** How long a proposed rule holds unless its author changes the date. */
const RULE_DAYS = 90;

/** A first version of a rule for the chosen signature. */
function proposalOf(
  signatures: readonly ShownSignature[],
  { query: { rule }, actions }: { readonly query: OfService['query']; readonly actions: readonly string[] },
): string {
  const { action = actions[0] ?? 'an action', path = 'member.of.the.answer' } =
    (rule === undefined ? undefined : signatures[Number(rule)]) ??
    signatures.find((each) => !isOfWholeLane(each)) ??
    {};
  return [
    `- action: ${action}`,
    '  kind: ignore',
    `  path: ${JSON.stringify(path)}`,
    // A rule that hides whole items is refused until the comment sign is removed.
    ...(path.endsWith('[]') ? ['  # hidesList: true'] : []),
    '  owner: the person responsible',
    '  reason: why this may differ',
    `  expires: ${dayFromNow(RULE_DAYS)}`,
    '',
  ].join('\n');
}

function dayFromNow(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}

function rulesPanel(visit: Visit, rules: readonly RuleInForce[]): Html | false {
  if (rules.length === 0) return false;
  return sectionPanel('rules-in-force', section('Rules in force', rulesTable(rules)), {
    name: 'Removal',
    cells: rules.map(
      ({ id }) =>
        id !== null &&
        foldedChange(visit, { action: `/rules/${id}/remove`, label: 'Remove the rule', role: 'operator' }),
    ),
  });
}

/** Rules that were tried, and the result. */
interface Trial {
  readonly rules: string;
  readonly actions?: readonly TriedAction[];
  readonly problem?: string;
}

interface TryForm {
  readonly service: string;
  readonly text: string;
  readonly trial: Trial | undefined;
}

/** The form to try rules, with the last result. */
function tryPanel(visit: Visit, { service, text, trial }: TryForm): Html {
  return html`<section class="panel" aria-labelledby="try">
    <h2 id="try">Try rules</h2>
    <p class="help">
      Judges the last 500 stored differences again under these rules. This changes nothing. You can then put
      the rules in force.
    </p>
    ${trial?.problem !== undefined && noticeBar({ tone: 'bad', text: trial.problem })}
    <div class="columns">
      <form class="stack" method="post" action="/services/${service}/differences#try">
        <input type="hidden" name="_csrf" value="${visit.csrf}" />
        <div class="field">
          <label for="rules">Rules</label
          ><textarea id="rules" name="rules" rows="8" required maxlength="20000" spellcheck="false">
${text}</textarea>
        </div>
        <div><button class="primary">Try</button></div>
      </form>
      <div>
        ${(trial?.actions ?? []).map(triedResult)}
        ${
          trial?.actions !== undefined &&
          foldedChange(visit, {
            action: `/services/${service}/rules`,
            label: 'Put the rules in force',
            role: 'approver',
            fields: { rules: trial.rules },
          })
        }
      </div>
    </div>
  </section>`;
}

function triedResult({ action, ...tried }: TriedAction): Html {
  return html`<h3><code>${action}</code></h3>
    <dl class="figures">
      <div>
        <dt>would match</dt>
        <dd>${count(tried.would_match)}</dd>
      </div>
      <div>
        <dt>would still differ</dt>
        <dd>${count(tried.still_mismatch)}</dd>
      </div>
      ${
        tried.not_comparable > 0 &&
        html`<div>
          <dt>would not be comparable</dt>
          <dd>${count(tried.not_comparable)}</dd>
        </div>`
      }
      <div>
        <dt>undecided</dt>
        <dd>${count(tried.undecided)}</dd>
      </div>
    </dl>
    <p class="help">
      Of ${counted(tried.comparisons, 'stored difference')}, ${count(tried.from_samples)} were judged from
      their texts.
      ${
        tried.not_judged > 0 &&
        html`${count(tried.not_judged)} more cannot be judged again: they are of whole lanes, to which no rule
        applies, or were stored by an earlier version.`
      }
    </p>
    <ul class="plain">
      ${tried.signatures.map(
        (each) =>
          html`<li>
            <code>${each.path}</code>
            <span class="note-inline"
              >${spoken(each.class)}: ${count(each.accepted)} accepted, ${count(each.counts)} count,
              ${count(each.unknown)} unknown</span
            >
          </li>`,
      )}
    </ul>`;
}

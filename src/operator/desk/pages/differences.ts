import { parse } from 'yaml';
import { messageOf } from '../../../domain/errors.ts';
import { hintWords } from '../../hint-words.ts';
import type { TriedAction } from '../../routes/rule-routes.ts';
import { count, counted, spoken, when } from '../figures.ts';
import { html, type Html } from '../html.ts';
import { ApiRefusal } from '../operator-api.ts';
import type { Asked, Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import { emptyState, type Page } from './layout.ts';
import { serviceOf } from './service.ts';
import { tryPanel, type Trial } from './try-rules.ts';

interface Signature {
  readonly action: string;
  readonly path: string;
  readonly class: string;
  readonly shape: string;
  readonly count: number;
  readonly first_at: string;
  readonly last_at: string;
  readonly hint: string | null;
  readonly lanes: number;
}

interface Found {
  readonly at: string;
  readonly operation_id: string;
  readonly action: string;
  readonly lane: string;
  readonly primary: string;
  readonly verdict: string;
  readonly differences: readonly {
    readonly path: string;
    readonly class: string;
    readonly legacy: string;
    readonly orchestrator: string;
    readonly hint?: string;
    readonly apart?: number;
  }[];
  readonly suppressed: number;
}

interface Rule {
  readonly id: number | null;
  readonly action: string;
  readonly kind: string;
  readonly path: string;
  readonly owner: string;
  readonly reason: string;
  readonly expires?: string;
  readonly expired: boolean;
  readonly hits: number;
}

type OfService = Asked<{ service: string }>;

/** What differs, by cause and one by one, and what rules would make of it. */
export async function differencesPage(visit: Visit, asked: OfService): Promise<Page> {
  return pageOf(visit, asked, undefined);
}

/** The same, after rules were tried. */
export async function triedPage(visit: Visit, asked: OfService, rules: string): Promise<Page> {
  try {
    const wish = { service: asked.params.service, rules: rulesIn(rules) };
    const { actions } = await visit.api.post<{ actions: readonly TriedAction[] }>('/v1/rules/try', wish);
    return await pageOf(visit, asked, { rules, actions });
  } catch (error) {
    if (!(error instanceof ApiRefusal) || error.status !== 400) throw error;
    return pageOf(visit, asked, { rules, problem: error.message });
  }
}

/** What a rules file holds; what is no list is one rule, and judged as such. @throws ApiRefusal where it is not YAML */
export function rulesIn(text: string): readonly unknown[] {
  try {
    const rules: unknown = parse(text);
    return Array.isArray(rules) ? rules : [rules];
  } catch (error) {
    throw new ApiRefusal(400, 'invalid_request', messageOf(error));
  }
}

const SHOWN = 25;

async function pageOf(visit: Visit, { params, query }: OfService, trial: Trial | undefined): Promise<Page> {
  const { service } = await serviceOf(visit, params.service);
  const base = `/v1/services/${service}`;
  const [{ signatures }, { differences }, { rules }] = await Promise.all([
    visit.api.get<{ signatures: readonly Signature[] }>(`${base}/signatures`),
    visit.api.get<{ differences: readonly Found[] }>(`${base}/differences?limit=${SHOWN}`),
    visit.api.get<{ rules: readonly Rule[] }>(`${base}/comparisons`),
  ]);
  const text = trial?.rules ?? proposalOf(signatures, query);
  return {
    title: `Differences of ${service}`,
    lead: html`What shadow reads found, redacted: of a value its kind, its size and a digest.
      <a href="/services/${service}">${service}</a>`,
    body: html`${signaturesPanel(service, signatures)}${tryPanel(visit, { service, text, trial })}${differencesPanel(differences)}${rulesPanel(visit, rules)}`,
  };
}

function signaturesPanel(service: string, signatures: readonly Signature[]): Html {
  if (signatures.length === 0)
    return emptyState(
      'Nothing differs',
      'No shadow read has found a difference that counts. Raise shadow-read to compare more.',
    );
  return html`<section class="panel" aria-labelledby="signatures">
    <h2 id="signatures">By cause <span class="of">${counted(signatures.length, 'signature')}</span></h2>
    <div class="table-frame" tabindex="0" role="group" aria-labelledby="signatures">
      <table>
        <thead>
          <tr>
            <th scope="col">Where</th>
            <th scope="col">What</th>
            <th scope="col" class="number">Times</th>
            <th scope="col" class="number">Lanes</th>
            <th scope="col">Last seen</th>
            <th scope="col"><span class="unseen">Rule</span></th>
          </tr>
        </thead>
        <tbody>
          ${signatures.map(
            (each, index) =>
              html`<tr>
                <th scope="row">
                  <code>${each.path === '' ? '(whole answer)' : each.path}</code
                  ><span class="note">${each.action}</span>
                </th>
                <td>
                  ${spoken(each.class)}<span class="note"
                    ><code>${each.shape}</code
                    >${each.hint !== null && ` · looks like: ${hintWords(each.hint)}`}</span
                  >
                </td>
                <td class="number">${count(each.count)}</td>
                <td class="number">${count(each.lanes)}</td>
                <td class="nowrap">${when(each.last_at)}</td>
                <td>
                  <a href="/services/${service}/differences?rule=${index}#try"
                    >Try a rule<span class="unseen"> for ${each.path}</span></a
                  >
                </td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

/** A rule for the signature that was chosen, to begin with. */
/** How long a proposed rule holds unless its author wants it otherwise. */
const RULE_DAYS = 90;

function proposalOf(signatures: readonly Signature[], { rule = '0' }: OfService['query']): string {
  const { action = 'get_context', path = '' } = signatures[Number(rule)] ?? {};
  return `- action: ${action}\n  kind: ignore\n  path: ${JSON.stringify(path)}\n  owner: who answers for it\n  reason: why it may differ\n  expires: ${dayFromNow(RULE_DAYS)}\n`;
}

function dayFromNow(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}

function differencesPanel(differences: readonly Found[]): Html | false {
  if (differences.length === 0) return false;
  return html`<section class="panel" aria-labelledby="found">
    <h2 id="found">One by one <span class="of">the last ${differences.length}</span></h2>
    ${differences.map(oneFound)}
  </section>`;
}

function oneFound({
  at,
  action,
  lane,
  primary,
  differences,
  suppressed,
  operation_id: operation,
}: Found): Html {
  const slash = lane.indexOf('/');
  const [service, owner] = [lane.slice(0, slash), encodeURIComponent(lane.slice(slash + 1))];
  return html`<article class="found">
    <h3><code>${action}</code> <a href="/lanes/${service}/${owner}">${lane}</a></h3>
    <p class="note">
      ${when(at)} · the agent got the answer of ${primary} ·
      <code>${operation}</code
      >${suppressed > 0 && ` · ${counted(suppressed, 'further difference')} accepted by rules`}
    </p>
    <div class="table-frame" tabindex="0" role="group" aria-label="Both sides of ${operation}">
      <table class="sides">
        <thead>
          <tr>
            <th scope="col">Path</th>
            <th scope="col">Legacy</th>
            <th scope="col">Orchestrator</th>
          </tr>
        </thead>
        <tbody>
          ${differences.map(
            (each) =>
              html`<tr>
                <th scope="row">
                  <code>${each.path === '' ? '(whole answer)' : each.path}</code
                  ><span class="note"
                    >${spoken(each.class)}${each.hint !== undefined && `, looks like: ${hintWords(each.hint)}`}</span
                  >
                </th>
                <td class="side legacy"><code>${each.legacy}</code></td>
                <td class="side orchestrator">
                  <code>${each.orchestrator}</code
                  >${each.apart !== undefined && html`<span class="note">${each.apart} apart</span>`}
                </td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </article>`;
}

function rulesPanel(visit: Visit, rules: readonly Rule[]): Html | false {
  if (rules.length === 0) return false;
  return html`<section class="panel" aria-labelledby="rules-in-force">
    <h2 id="rules-in-force">Rules in force</h2>
    <div class="table-frame" tabindex="0" role="group" aria-labelledby="rules-in-force">
      <table>
        <thead>
          <tr>
            <th scope="col">Rule</th>
            <th scope="col">Action</th>
            <th scope="col" class="number">Accepted</th>
            <th scope="col">Why</th>
            <th scope="col">Until</th>
          </tr>
        </thead>
        <tbody>
          ${rules.map(
            ({ id, kind, path, action, hits, reason, owner, expires, expired }) =>
              html`<tr>
                <th scope="row">
                  ${spoken(kind)} <code>${path}</code
                  ><span class="note">${id === null ? 'of the definition' : `added, number ${id}`}</span>${
                    id !== null &&
                    foldedChange(visit, {
                      action: `/rules/${id}/remove`,
                      label: 'Remove it',
                      role: 'operator',
                    })
                  }
                </th>
                <td><code>${action}</code></td>
                <td class="number">${count(hits)}</td>
                <td class="words">${reason}<span class="note">${owner}</span></td>
                <td>
                  ${expired ? html`<span class="state warn">◆ expired ${expires}</span>` : (expires ?? 'for ever')}
                </td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

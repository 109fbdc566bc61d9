import { hintWords } from '../../hint-words.ts';
import { count, counted, spoken, when } from '../figures.ts';
import { html, type Html } from '../html.ts';

export interface Found {
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

/** Shown without being asked for. */
const OPEN = 3;

/** The last ones, the newest open and the others folded. */
export function differencesPanel(differences: readonly Found[]): Html | false {
  if (differences.length === 0) return false;
  return html`<section class="panel" aria-labelledby="found">
    <h2 id="found">One by one <span class="of">the last ${differences.length}</span></h2>
    ${differences.slice(0, OPEN).map(oneFound)}
    ${
      differences.length > OPEN &&
      html`<details class="fold found-more">
        <summary>${counted(differences.length - OPEN, 'earlier difference')}</summary>
        ${differences.slice(OPEN).map(oneFound)}
      </details>`
    }
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
          ${grouped(differences).map(sides)}
        </tbody>
      </table>
    </div>
  </article>`;
}

interface Alike {
  readonly each: Found['differences'][number];
  readonly times: number;
}

/** What is alike but for its digests is one row: an empty list beside seven items is one thing to people. */
function grouped(differences: Found['differences']): Alike[] {
  const groups = Map.groupBy(differences, ({ path, class: kind, legacy, orchestrator }) =>
    [path, kind, shapeOf(legacy), shapeOf(orchestrator)].join(' '),
  );
  return [...groups.values()].flatMap(([each, ...others]) => {
    if (each === undefined) return [];
    if (others.length === 0) return [{ each, times: 1 }];
    const { legacy, orchestrator } = each;
    const alike = { ...each, legacy: shapeOf(legacy), orchestrator: shapeOf(orchestrator) };
    return [{ each: alike, times: 1 + others.length }];
  });
}

/** Without the digest that tells one value from another. */
const shapeOf = (value: string): string => value.split('#')[0] ?? value;

function sides({ each, times }: Alike): Html {
  return html`<tr>
    <th scope="row">
      <code>${each.path === '' ? '(whole answer)' : each.path}</code>${times > 1 && ` × ${count(times)}`}<span
        class="note"
        >${spoken(each.class)}${each.hint !== undefined && `, looks like: ${hintWords(each.hint)}`}</span
      >
    </th>
    <td class="side legacy"><code>${each.legacy}</code></td>
    <td class="side orchestrator">
      <code>${each.orchestrator}</code
      >${each.apart !== undefined && html`<span class="note">${each.apart} apart</span>`}
    </td>
  </tr>`;
}

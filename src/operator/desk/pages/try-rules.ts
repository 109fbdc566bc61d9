import type { TriedAction } from '../../routes/rule-routes.ts';
import { count, counted, spoken } from '../figures.ts';
import { html, type Html } from '../html.ts';
import type { Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import { noticeBar } from './layout.ts';

/** Rules that were tried, and the result. */
export interface Trial {
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
export function tryPanel(visit: Visit, { service, text, trial }: TryForm): Html {
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

import type { OperatorRole } from '../../api/endpoint.ts';
import { html, type Html, type Shown } from '../../views/html.ts';
import { may, type Visit } from '../visit.ts';

export interface Change {
  /** The path on this desk to which the form is sent. */
  readonly action: string;
  /** The label of the button. */
  readonly label: string;
  /** The role that is required. */
  readonly role: OperatorRole;
  /** Members sent besides the reason. */
  readonly fields?: Readonly<Record<string, string | number>>;
  /** Further controls, above the reason. */
  readonly controls?: Shown;
  /** Where to go afterwards. @defaultValue this page */
  readonly back?: string;
  /** The change cannot be undone. */
  readonly isGrave?: boolean;
  /** Unfolded from the start. */
  readonly isOpen?: boolean;
  /** Distinguishes it from other forms of the same action on one page. @defaultValue the action */
  readonly id?: string;
}

/** Every change asks for a reason and is audited under a name. A visitor without the role sees which role is required. */
export function changeForm(visit: Visit, change: Change): Html {
  const { action, label, role, fields = {}, back = visit.path, isGrave = false } = change;
  if (!may(visit, role)) {
    const lacks = html`“${label}” needs the role <strong>${role}</strong>; you are ${visit.visitor.role}.`;
    return html`<p class="needs">${lacks}</p>`;
  }
  const id = `change${(change.id ?? action).replaceAll(/[^\w-]+/g, '-')}`;
  return html`<form method="post" action="${action}" class="change stack">
    <input type="hidden" name="_csrf" value="${visit.csrf}" />
    <input type="hidden" name="back" value="${back}" />
    ${Object.entries(fields).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}
    ${change.controls} ${visit.visitor.name === undefined && personField(visit, id)}
    <div class="field">
      <label for="${id}-reason">Reason</label>
      <input
        id="${id}-reason"
        name="reason"
        required
        maxlength="500"
        autocomplete="off"
        placeholder="Stored in the audit"
      />
    </div>
    <div><button class="${isGrave ? 'grave' : 'primary'}">${label}</button></div>
  </form>`;
}

/** Without a sign-in, the form asks for a name. */
function personField({ person }: Visit, id: string): Html {
  return html`<div class="field">
    <label for="${id}-person">Your name</label>
    <input id="${id}-person" name="person" required maxlength="200" value="${person}" autocomplete="name" />
  </div>`;
}
/** The same form, folded under its label, for long lists. */
export function foldedChange(visit: Visit, change: Change): Html {
  return html`<details class="fold" ${change.isOpen === true && html`open`}>
    <summary>${change.label}</summary>
    ${changeForm(visit, change)}
  </details>`;
}

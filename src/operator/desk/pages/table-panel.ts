import { html, type Html, type Shown } from '../html.ts';

export interface Table {
  readonly id: string;
  readonly title: string;
  readonly note?: string;
  readonly heads: readonly string[];
  readonly rows: readonly (readonly Shown[])[];
}

/** A panel with a small table; its first column names, the others are numbers. */
export function tablePanel({ id, title, note, heads, rows }: Table): Html {
  return html`<section class="panel" aria-labelledby="${id}">
    <h2 id="${id}">${title}</h2>
    <div data-live="${id}">
      ${note !== undefined && html`<p class="help">${note}</p>`}
      <div class="table-frame" tabindex="0" role="group" aria-labelledby="${id}">
        <table>
          <thead>
            <tr>
              ${heads.map((head, index) => html`<th scope="col" ${index > 0 && html`class="number"`}>${head}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${rows.map(
              ([name, ...cells]) =>
                html`<tr>
                  <th scope="row">${name}</th>
                  ${cells.map((cell) => html`<td class="number">${cell}</td>`)}
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </div>
  </section>`;
}

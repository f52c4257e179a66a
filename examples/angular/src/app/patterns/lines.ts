import { Component, inject, input, numberAttribute } from '@angular/core';
import { rxResource } from '@angular/core/rxjs-interop';
import { toArray } from 'rxjs';
import { fromPull, poolMap } from 'sluice';
import { OrdersApi } from '../orders-api';

@Component({
  selector: 'app-lines',
  template: `
    @if (lines.error()) {
      <p role="alert">The lines of order {{ id() }} could not be fetched.</p>
      <button type="button" (click)="lines.reload()">Try again</button>
    } @else {
      @for (line of lines.value(); track line.line) {
        <p>{{ line.quantity }} × {{ line.article }}</p>
      }
    }
  `,
})
export class Lines {
  readonly #api = inject(OrdersApi);
  readonly id = input.required({ transform: numberAttribute });

  readonly lines = rxResource({
    params: () => this.id(),
    stream: ({ params: id }) =>
      fromPull([1, 2, 3]).pipe(
        poolMap((line) => this.#api.line(id, line), { concurrency: 2, ordered: true }),
        toArray(),
      ),
  });
}

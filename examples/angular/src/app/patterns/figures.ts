import { Component, computed, inject } from '@angular/core';
import { OrderDesk } from '../order-desk';

@Component({
  selector: 'app-figures',
  providers: [OrderDesk],
  template: `
    <button type="button" (click)="desk.start()">Start</button>
    <button type="button" (click)="desk.stop()">Stop</button>
    <p>{{ desk.orders().length }} fetched, {{ held() }} inside, {{ perSecond() }} a second</p>
  `,
})
export class Figures {
  readonly desk = inject(OrderDesk);
  readonly held = computed(() => this.desk.stats()?.leftOver ?? 0);
  readonly perSecond = computed(() => (this.desk.stats()?.itemsPerSecond ?? 0).toFixed(1));
}

"""From the queue to the exporters: admission, intake, the delivery worker, and one outlet per exporter."""

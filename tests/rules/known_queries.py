"""Other people's queries, word for word: dockprom's dashboards and rules, and the container rules everybody copies.

Sources: https://github.com/stefanprodan/dockprom (grafana/provisioning/dashboards, prometheus/alert.rules) and
https://github.com/samber/awesome-prometheus-alerts (dist/rules/docker-containers/google-cadvisor.yml, and the older
form of the same rules, which is what most copies have). dockprom's example, Jenkins, is called nginx here.
"""

DOCKPROM = (
    'sum(rate(container_cpu_user_seconds_total{image!=""}[1m])) / count(node_cpu_seconds_total{mode="user"}) * 100',
    'sum(container_memory_usage_bytes{image!=""})',
    'scalar(count(container_memory_usage_bytes{image!=""}) > 0)',
    'sum by (name) (rate(container_cpu_usage_seconds_total{image!="",container_label_org_label_schema_group=""}[1m]))'
    ' / scalar(count(node_cpu_seconds_total{mode="user"})) * 100',
    'sum by (name)(container_memory_usage_bytes{image!="",container_label_org_label_schema_group=""})',
    'sum by (name) (container_memory_cache{image!="",container_label_org_label_schema_group=""})',
    'sum by (name) (rate(container_network_receive_bytes_total{image!="",container_label_org_label_schema_group=""}[1m]))',
    'sum by (name) (rate(container_network_transmit_bytes_total{image!="",container_label_org_label_schema_group=""}[1m]))',
    'sum(container_memory_usage_bytes{container_label_org_label_schema_group="monitoring"})',
    'sum by (name) (rate(container_cpu_user_seconds_total{container_label_org_label_schema_group="monitoring"}[1m])'
    ' * 100  / scalar(count(node_cpu_seconds_total{mode="user"})))',
    'sum by (name) (container_memory_usage_bytes{container_label_org_label_schema_group="monitoring"})',
    'sum(rate(container_cpu_usage_seconds_total{name=~"nginx"}[5m])) / count(node_cpu_seconds_total{mode="system"}) * 100',
    'sum(rate(container_cpu_usage_seconds_total{name="nginx"}[1m])) / count(node_cpu_seconds_total{mode="system"}) * 100 > 10',
    'sum(container_memory_usage_bytes{name="nginx"}) > 1200000000',
    'absent(container_memory_usage_bytes{name="jenkins"})',
)

CONTAINER_RULES = (
    "time() - container_last_seen > 60",
    "absent(container_last_seen)",
    '(sum(rate(container_cpu_usage_seconds_total{name!=""}[3m])) BY (instance, name) * 100) > 80',
    '(sum(rate(container_cpu_usage_seconds_total{name!=""}[5m])) by (instance, name) / sum(container_spec_cpu_quota'
    '{name!=""}/container_spec_cpu_period{name!=""}) by (instance, name) * 100) > 80',
    '(sum(container_memory_working_set_bytes{name!=""}) BY (instance, name)'
    " / sum(container_spec_memory_limit_bytes > 0) BY (instance, name) * 100) > 80",
    '(sum(container_memory_working_set_bytes{name!=""}) BY (instance, name)'
    " / sum(container_spec_memory_limit_bytes > 0) BY (instance, name) * 100) < 20",
    "rate(container_cpu_cfs_throttled_seconds_total[3m]) > 1",
    "sum(increase(container_cpu_cfs_throttled_periods_total[5m])) by (name)"
    " / sum(increase(container_cpu_cfs_periods_total[5m])) by (name) > ( 25 / 100 )",
    '(abs((  sum by (instance, name) (rate(container_cpu_usage_seconds_total{name!=""}[1m])) * 100)'
    '- (  sum by (instance, name) (rate(container_cpu_usage_seconds_total{name!=""}[1m] offset 1m)) * 100))'
    ' or abs((  sum by (instance, name) (rate(container_cpu_usage_seconds_total{name!=""}[1m])) * 100)'
    '- (  sum by (instance, name) (rate(container_cpu_usage_seconds_total{name!=""}[5m] offset 1m)) * 100)) )>25',
)

NOT_ANSWERED = {
    # They mean a search through the disk (google/cadvisor#735, #2098, #2212).
    "sum(container_fs_usage_bytes)": "du",
    '(1 - (sum(container_fs_inodes_free{name!=""}) BY (instance) / sum(container_fs_inodes_total) BY (instance))) * 100': "du",
    # About the machine, not its containers: the node exporter knows.
    "machine_cpu_cores": "host",
    # The label `container` is Kubernetes'; on plain Docker cAdvisor has nothing under it, either.
    'sum(rate(container_cpu_usage_seconds_total{container!=""}[5m])) by (pod, container)': "kubernetes",
    'sum(increase(container_cpu_cfs_throttled_periods_total{container!=""}[5m])) by (container, pod, namespace)': "kubernetes",
}

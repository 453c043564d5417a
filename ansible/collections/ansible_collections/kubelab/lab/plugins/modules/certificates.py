#!/usr/bin/python
# Copyright: the kubelab authors. Licensed under the Apache License 2.0.
"""Documentation of `kubelab.lab.certificates`; the work is done on the host by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: certificates
short_description: The lab's authority and every certificate that it signs
description:
  - Makes an authority (C(ca.crt), C(ca.key)), certificates (C(NAME.crt), C(NAME.key)) and bare key pairs
    (C(NAME.key), C(NAME.pub)) in a folder of the host, and renews a certificate that is about to expire, says
    something else than asked for, or was signed by another authority.
version_added: 0.1.0
author: The kubelab authors (@kubelab)
attributes:
  check_mode: {support: full, description: Says what would be made.}
options:
  directory:
    description: Folder on the host; made with mode 0700.
    type: path
    required: true
  authority:
    description: Common name of the authority.
    type: str
    required: true
  authority_valid_days:
    description: How long a new authority is valid.
    type: int
    default: 3650
  valid_days:
    description: How long a new certificate is valid.
    type: int
    default: 365
  renew_before_days:
    description: A certificate with fewer days left is renewed.
    type: int
    default: 30
  certificates:
    description:
      - Name to C(common_name) (the user), C(organizations) (the groups), C(dns_names), C(addresses) and
        C(usage) (C(client) or C(server)).
    type: dict
    default: {}
  key_pairs:
    description: Names of bare key pairs.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Make the lab's certificates
  kubelab.lab.certificates:
    directory: "{{ lab_pki }}"
    authority: kubelab
    certificates:
      admin: {common_name: kubernetes-admin, organizations: ["system:masters"]}
      apiserver: {common_name: kube-apiserver, usage: server, dns_names: [kubernetes], addresses: [10.96.0.1]}
    key_pairs: [sa]
"""

RETURN = r"""
made:
  description: What was made, with the reason.
  returned: always
  type: list
  elements: str
"""

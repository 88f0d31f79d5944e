"""Which attributes of ``config.json`` matter, and what becomes of those that are not understood.

An attribute matters if the configuration class of its model gives it a meaning in the computation,
if it is in ``NEUTRAL``, the list of those that models of other classes, or with code of their own,
compute with, or if it is a switch or a factor of any language model of transformers
(``attributes.json``, which ``scripts/list_attributes.py`` writes).  Such an attribute is
understood, or has a value at which it changes nothing, or is refused by name.  Everything else is
ignored: notes, versions, settings of training and of generation, and names that nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attention.errors import InputError
from attention.files import read_json
from attention.transformer.huggingface.families import Family, HfConfig

# What says which model it is, or is used outside the computation.
USED = frozenset(
    """
    architectures model_type dtype torch_dtype id2label label2id num_labels
    bos_token_id eos_token_id pad_token_id sep_token_id cls_token_id unk_token_id mask_token_id
    """.split()
)
# What the classes of transformers know and do not compute logits with.
INERT = frozenset(
    """
    transformers_version use_cache return_dict output_hidden_states output_attentions
    attention_dropout hidden_dropout_prob attention_probs_dropout_prob classifier_dropout
    hidden_dropout mlp_dropout embedding_dropout residual_dropout qa_dropout seq_classif_dropout
    resid_pdrop embd_pdrop attn_pdrop dropout summary_type summary_use_proj summary_activation
    summary_proj_to_labels summary_first_dropout summary_last_dropout pretraining_tp _name_or_path
    problem_type task_specific_params finetuning_task gradient_checkpointing n_ctx
    reorder_and_upcast_attn max_window_layers max_length do_sample temperature
    _attn_implementation _attn_implementation_autoset attn_implementation
    output_router_logits router_aux_loss_coef initializer_cutoff_factor cache_implementation
    deterministic_flash_attn reference_compile sparse_prediction sparse_pred_ignore_index
    repad_logits_with_grad
    """.split()
)
IGNORABLE = USED | INERT
"""What a config may say without changing the model that is computed."""

# What changes the computation of some model, with the values besides null at which it does not.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    # this project's own, which belong to its own model types
    "layer_halves": (),
    "normalizer": ("softmax",),
    # weights
    "quantization_config": (),
    "compression_config": (),
    # positions
    "rope_condense_ratio": (1,),
    "rope_interleaved": (False,),
    "rope_interleave": (False,),
    "rope_scaling": (),
    "use_mrope": (False,),
    "use_dynamic_ntk": (False,),
    "use_logn_attn": (False,),
    "partial_rotary_factor": (1,),
    "rotary_pct": (1,),
    "rotary_dim": (),
    "no_rope_layers": (),
    "no_rope_layer_interval": (),
    "position_embedding_type": (),
    "alibi": (False,),
    "use_alibi": (False,),
    # attention
    "attn_logit_softcapping": (),
    "attn_temperature_tuning": (False,),
    "attention_multiplier": (),
    "attention_chunk_size": (),
    "query_pre_attn_scalar": (),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "clip_qkv": (),
    "qk_norm": (False,),
    "use_qk_norm": (False,),
    "qk_layernorm": (False,),
    "layer_types": (),
    "sliding_window": (),
    "use_sliding_window": (False,),
    "use_bidirectional_attention": (False,),
    "multi_query": (False,),
    "new_decoder_architecture": (False,),
    "q_lora_rank": (),
    "kv_lora_rank": (),
    "attention_bias": (False,),
    "qkv_bias": (False,),
    "use_qkv_bias": (False,),
    # layers
    "mlp_bias": (False,),
    "parallel_attn": (False,),
    "parallel_residual": (False,),
    "use_parallel_residual": (False,),
    "apply_residual_connection_post_layernorm": (False,),
    "residual_multiplier": (1,),
    "scale_depth": (),
    "num_experts": (0, 1),
    "num_local_experts": (0, 1),
    "n_routed_experts": (0, 1),
    # embeddings and logits
    "embedding_multiplier": (1,),
    "scale_emb": (1,),
    "scale_embedding": (False,),
    "logit_scale": (1,),
    "logits_scaling": (1,),
    "final_logit_softcapping": (),
    "logit_softcap": (),
    "logits_soft_cap": (),
}

OF_OTHERS: dict[str, list[Any]] = read_json(Path(__file__).with_suffix(".json"))["attributes"]
"""The same of the switches and factors that the classes of transformers have."""


def check_attributes(
    family: Family, hf: HfConfig, full: HfConfig, defaults: Mapping[str, Any]
) -> None:
    """Refuse what could change the computation and is not understood.

    Args:
        family: of the model.
        hf: ``config.json`` as it stands.
        full: the same, as transformers completes it.
        defaults: the attributes of the configuration class at its own values.

    Raises:
        InputError: there are such attributes; the message names all.
    """
    wrong = []
    for name in {**hf, **full}:
        value = full.get(name, hf.get(name))
        if name in IGNORABLE or name in _understood(family):
            continue
        if not _changes_nothing(name, value, family, defaults):
            wrong.append(f"{name}={value!r}")
    if wrong:
        raise InputError(f"config.json: attributes not handled: {', '.join(sorted(wrong))}")


def without_meaning(family: Family, hf: HfConfig) -> dict[str, Any]:
    """The attributes of a ``config.json`` that are ignored, by name."""
    known = {*_understood(family), *family.expected, *NEUTRAL, *OF_OTHERS, *USED}
    return {name: value for name, value in hf.items() if name not in known}


def _understood(family: Family) -> set[str]:
    names = {*family.fields, *family.reads}
    return names | {"rope_theta", "rope_scaling"} if "rope_parameters" in names else names


def _changes_nothing(name: str, value: Any, family: Family, defaults: Mapping[str, Any]) -> bool:
    """Whether an attribute that no field stands for leaves the computation as it is."""
    if name in family.expected:
        return value == family.expected[name]
    if name in defaults and value == defaults[name]:
        return True
    if name in NEUTRAL:
        return value is None or value in NEUTRAL[name]
    if name in OF_OTHERS and name not in defaults:
        return value is None or value in OF_OTHERS[name]
    return name not in defaults or (value is None and defaults[name] is not True)

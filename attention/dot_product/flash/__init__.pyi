from .fused import flash_attention as flash_attention

__all__ = [
    "flash_attention",
]

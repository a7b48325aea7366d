"""Scores molecules."""

from rdkit import Chem
from rdkit.Chem import Descriptors


def score(smiles):
    """The weight of a molecule, or the guess of a model."""
    import torch

    molecule = Chem.MolFromSmiles(smiles)
    return float(torch.tensor(Descriptors.MolWt(molecule)))
